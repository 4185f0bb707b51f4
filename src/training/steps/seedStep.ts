import type { MethodOf } from '../../config/methods.js';
import type { Tensor } from '../../runtime/session.js';
import { QueueStep } from './queueStep.js';
import type { MicroBatch } from './step.js';
import type { StepRunner } from './stepRunner.js';
import type { Teacher } from './teacher.js';

/** SEED: a student learns a frozen teacher's similarities. */
export class SeedStep extends QueueStep {
  constructor(
    runner: StepRunner,
    method: MethodOf<'seed'>,
    private readonly teacher: Teacher,
  ) {
    super(runner, method);
  }

  override get computeSeconds(): number {
    return super.computeSeconds + this.teacher.seconds;
  }

  /** The teacher sees what the student sees. */
  protected async embedKeys(_batch: MicroBatch, view1: Tensor, keys: Tensor): Promise<void> {
    await this.runner.run('normalize', { embedding: await this.teacher.embed(view1) }, { keys });
  }

  override async close(): Promise<void> {
    await super.close();
    await this.teacher.close();
  }
}
