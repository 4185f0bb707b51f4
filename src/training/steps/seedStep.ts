import type { MethodOf } from '../../config/methods.js';
import type { Tensor } from '../../runtime/session.js';
import { KeyQueue } from './keyQueue.js';
import { MethodStep } from './methodStep.js';
import type { StepInput } from './step.js';
import { zeroTensor, type StepRunner } from './stepRunner.js';
import type { Teacher } from './teacher.js';

/** SEED: a student learns a frozen teacher's similarities. */
export class SeedStep extends MethodStep {
  readonly #keys: readonly Tensor[];
  readonly #queue: KeyQueue;

  constructor(
    runner: StepRunner,
    { dimension }: MethodOf<'seed'>,
    private readonly teacher: Teacher,
  ) {
    super(runner);
    const { accumulation, batchSize } = runner.config;
    this.#keys = Array.from({ length: accumulation }, () => zeroTensor([batchSize, dimension]));
    this.#queue = new KeyQueue(runner.state);
  }

  override get computeSeconds(): number {
    return super.computeSeconds + this.teacher.seconds;
  }

  protected async passes(input: StepInput): Promise<void> {
    const { runner } = this;
    const share = 1 / input.batches.length;
    for (const [i, batch] of input.batches.entries()) {
      const images = runner.view(batch, 0);
      const keys = this.#keys[i]!;
      await runner.run('normalize', { embedding: await this.teacher.embed(images) }, { keys });
      const feeds = { images, keys, queue: this.#queue.tensor };
      await this.pass(
        input,
        { gradient: share, loss: share },
        () => feeds,
        () => keys,
      );
    }
  }

  protected override finish(): void {
    this.#queue.replaceOldest(this.#keys);
  }

  override async close(): Promise<void> {
    await super.close();
    await this.teacher.close();
  }
}
