import type { MethodOf } from '../../config/methods.js';
import type { Tensor } from '../../runtime/session.js';
import { QueueStep } from './queueStep.js';
import type { MicroBatch, StepInput } from './step.js';
import type { StepRunner } from './stepRunner.js';

/** SlimCLR-MoCo v2. */
export class MocoV2Step extends QueueStep {
  constructor(
    runner: StepRunner,
    private readonly method: MethodOf<'moco-v2'>,
  ) {
    super(runner, method);
  }

  protected override async passes(input: StepInput): Promise<void> {
    await this.runner.moveKeys(this.method.keyMomentum);
    await super.passes(input);
  }

  protected embedKeys(batch: MicroBatch, _view1: Tensor, keys: Tensor): Promise<void> {
    return this.runner.embedKeys(this.runner.view(batch, 1), keys);
  }
}
