import type { MethodOf } from '../../config/methods.js';
import { keyMomentum } from '../../optimizers/schedule.js';
import type { Tensor } from '../../runtime/session.js';
import { MethodStep } from './methodStep.js';
import { otherRows } from './otherRows.js';
import type { StepInput } from './step.js';
import { zeroTensor, type StepRunner } from './stepRunner.js';

/** SlimCLR-MoCo v3. */
export class MocoV3Step extends MethodStep {
  /** Keys of each view, of each micro-batch of this replica. */
  readonly #keys: readonly (readonly Tensor[])[];

  constructor(
    runner: StepRunner,
    private readonly method: MethodOf<'moco-v3'>,
  ) {
    super(runner);
    const { microBatches, config } = runner;
    const keys = () =>
      Array.from({ length: microBatches }, () => zeroTensor([config.batchSize, method.dimension]));
    this.#keys = [keys(), keys()];
  }

  protected async passes(input: StepInput): Promise<void> {
    const { runner } = this;
    const images = input.batches.map((batch, i) => [runner.view(batch, 0, i), runner.view(batch, 1, i)]);
    await runner.moveKeys(
      keyMomentum(this.method.keyMomentum, { step: input.steps.all, steps: input.steps.total }),
    );
    // The keys of the whole batch come first: every query is compared with all of them.
    for (const [i, views] of images.entries()) {
      for (const view of [0, 1]) await runner.embedKeys(views[view]!, this.#keys[view]![i]!);
    }
    const all = [await runner.gather(this.#keys[0]!), await runner.gather(this.#keys[1]!)];
    const { share } = runner;
    for (const [i, views] of images.entries()) {
      for (const view of [0, 1]) {
        const keys = this.#keys[1 - view]![i]!;
        const others = otherRows(all[1 - view]!, runner.position(i));
        const feeds = { images: views[view]!, keys, ...(others && { other_keys: others }) };
        await this.pass(
          input,
          { gradient: share, loss: share },
          () => feeds,
          () => keys,
        );
      }
    }
  }
}
