import type { MethodOf } from '../../config/methods.js';
import type { Tensor } from '../../runtime/session.js';
import { KeyQueue } from './keyQueue.js';
import { MethodStep } from './methodStep.js';
import type { StepInput } from './step.js';
import { zeroTensor, type StepRunner } from './stepRunner.js';

/** SlimCLR-MoCo v2. */
export class MocoV2Step extends MethodStep {
  readonly #keys: readonly Tensor[];
  readonly #queue: KeyQueue;

  constructor(
    runner: StepRunner,
    private readonly method: MethodOf<'moco-v2'>,
  ) {
    super(runner);
    const { accumulation, batchSize } = runner.config;
    this.#keys = Array.from({ length: accumulation }, () => zeroTensor([batchSize, method.dimension]));
    this.#queue = new KeyQueue(runner.state);
  }

  protected async passes(input: StepInput): Promise<void> {
    const { runner } = this;
    const share = 1 / input.batches.length;
    await runner.moveKeys(this.method.keyMomentum);
    for (const [i, batch] of input.batches.entries()) {
      const keys = this.#keys[i]!;
      await runner.embedKeys(runner.view(batch, 1), keys);
      const feeds = { images: runner.view(batch, 0), keys, queue: this.#queue.tensor };
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
}
