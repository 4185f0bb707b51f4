import type { Tensor } from '../../runtime/session.js';
import { KeyQueue } from './keyQueue.js';
import { MethodStep } from './methodStep.js';
import type { MicroBatch, StepInput } from './step.js';
import { zeroTensor, type StepRunner } from './stepRunner.js';

/** A step whose queries of view 1 are compared with a key of their own and a queue of older keys. */
export abstract class QueueStep extends MethodStep {
  /** Of each micro-batch of this replica, `[N, D]`. */
  readonly #keys: readonly Tensor[];
  readonly #queue: KeyQueue;

  constructor(runner: StepRunner, { dimension }: { readonly dimension: number }) {
    super(runner);
    const { microBatches, config } = runner;
    this.#keys = Array.from({ length: microBatches }, () => zeroTensor([config.batchSize, dimension]));
    this.#queue = new KeyQueue(runner.state);
  }

  /** Writes the keys of a micro-batch, whose view 1 is in `view1`. */
  protected abstract embedKeys(batch: MicroBatch, view1: Tensor, keys: Tensor): Promise<void>;

  protected async passes(input: StepInput): Promise<void> {
    const { share } = this.runner;
    for (const [i, batch] of input.batches.entries()) {
      const images = this.runner.view(batch, 0);
      const keys = this.#keys[i]!;
      await this.embedKeys(batch, images, keys);
      const feeds = { images, keys, queue: this.#queue.tensor };
      await this.pass(
        input,
        { gradient: share, loss: share },
        () => feeds,
        () => keys,
      );
    }
  }

  protected override async finish(): Promise<void> {
    this.#queue.replaceOldest(await this.runner.gather(this.#keys));
  }
}
