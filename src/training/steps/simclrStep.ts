import type { MethodOf } from '../../config/methods.js';
import { floatTensor, type Tensor, type Tensors } from '../../runtime/session.js';
import { MethodStep } from './methodStep.js';
import { otherRows } from './otherRows.js';
import type { StepInput } from './step.js';
import { zeroTensor, type StepRunner } from './stepRunner.js';

/** SlimCLR-SimCLR. */
export class SimclrStep extends MethodStep {
  /** Both views of a micro-batch, `[2N, 3, S, S]`. */
  readonly #images: Tensor;

  constructor(
    runner: StepRunner,
    private readonly method: MethodOf<'simclr'>,
  ) {
    super(runner);
    const [n, ...rest] = runner.viewShape;
    this.#images = zeroTensor([2 * n, ...rest]);
  }

  protected async passes(input: StepInput): Promise<void> {
    const { share } = this.runner;
    const others = share < 1 ? await this.#embeddings(input) : null;
    for (const [i, batch] of input.batches.entries()) {
      const images = this.#both(batch.views);
      // The loss of a pass is that of all micro-batches, its gradient the part of this one.
      await this.pass(
        input,
        { gradient: 1, loss: share },
        (label) => ({ images, ...others?.(label, this.runner.position(i)) }),
        (label) => viewsExchanged(this.runner.outputs.get(label)!.embedding!),
      );
    }
  }

  /** Embeddings of all micro-batches at every width: a function that feeds those of all but one. */
  async #embeddings({ batches, allWidths }: StepInput): Promise<(label: string, index: number) => Tensors> {
    const { runner, method } = this;
    const { labels } = runner.manifest;
    const { batchSize } = runner.config;
    const views = new Map(labels.map((label) => [label, [[], []] as [Tensor[], Tensor[]]]));
    const embedding = zeroTensor([2 * batchSize, method.dimension]);
    for (const batch of batches) {
      const images = this.#both(batch.views);
      for (const label of allWidths ? labels : labels.slice(0, 1)) {
        await runner.run(`features.${label}`, { images }, { embedding });
        const values = embedding.data as Float32Array;
        const half = values.length / 2;
        for (const view of [0, 1]) {
          const rows = values.slice(view * half, (view + 1) * half);
          views.get(label)![view]!.push(floatTensor(rows, [batchSize, method.dimension]));
        }
      }
    }
    // From here on those of the other replicas, too.
    for (const both of views.values()) {
      for (const view of [0, 1]) both[view] = [...(await runner.gather(both[view]!))];
    }
    return (label, index) => {
      const [view1, view2] = views.get(label)!;
      return { other_view1: otherRows(view1, index)!, other_view2: otherRows(view2, index)! };
    };
  }

  /** Both views in one batch, view 1 first; the tensor is the same at each call. */
  #both([view1, view2]: readonly [Float32Array, Float32Array]): Tensor {
    const values = this.#images.data as Float32Array;
    values.set(view1);
    values.set(view2, view1.length);
    return this.#images;
  }
}

/** Embeddings `[2N, D]` of two views with the views in each other's place: the positive of every row. */
function viewsExchanged({ data, dims }: Tensor): Tensor {
  const values = data as Float32Array;
  const half = values.length / 2;
  const exchanged = new Float32Array(values.length);
  exchanged.set(values.subarray(half));
  exchanged.set(values.subarray(0, half), half);
  return floatTensor(exchanged, dims);
}
