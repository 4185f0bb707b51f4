import type { Config } from '../config/schema.js';
import { SlimclrError } from '../errors.js';
import type { TensorData } from '../onnx/safetensors.js';

/** Of the tensor that a checkpoint holds it in. */
export const lossScaleName = 'loss_scale';

/**
 * What losses are multiplied by before they are differentiated in float16, by the rules of PyTorch's GradScaler: an
 * overflow halves it, `growthSteps` steps in a row without one double it. NOTE: here it does not fall below 1: gradients
 * that overflow without any scale are those of a training that diverges.
 */
export class LossScale {
  #value: number;
  /** Steps since the last overflow or change. */
  #good = 0;
  #skipped = { all: 0, narrow: 0 };

  constructor(private readonly config: Config['runtime']['lossScale']) {
    this.#value = config.initial;
  }

  get value(): number {
    return this.#value;
  }

  /** Steps that overflowed, and those of them that trained all widths: the optimiser does not count them. */
  get skipped(): { readonly all: number; readonly narrow: number } {
    return this.#skipped;
  }

  /** Whether another overflow has a smaller scale to go on with. */
  get canFall(): boolean {
    return this.#value > 1;
  }

  /** After a step whose gradients were finite. */
  stepped(): void {
    this.#good += 1;
    if (this.#good < this.config.growthSteps) return;
    this.#good = 0;
    if (Number.isFinite(Math.fround(2 * this.#value))) this.#value *= 2;
  }

  /** After a step that was skipped. */
  overflowed(allWidths: boolean): void {
    this.#good = 0;
    this.#value = Math.max(1, this.#value / 2);
    const { all, narrow } = this.#skipped;
    this.#skipped = { all: all + 1, narrow: narrow + (allWidths ? 1 : 0) };
  }

  /** As a checkpoint holds it: the scale, steps since the last change, steps skipped, of them those of all widths. */
  tensor(): TensorData {
    const { all, narrow } = this.#skipped;
    const data = Float64Array.of(this.#value, this.#good, all, narrow);
    return { dtype: 'float64', shape: [data.length], data };
  }

  /** From a checkpoint; throws a SlimclrError for what `tensor` does not give. */
  load(tensor: TensorData | undefined): void {
    const data = tensor?.data;
    if (
      !(data instanceof Float64Array) ||
      data.length !== 4 ||
      !data.every(Number.isFinite) ||
      data[0]! < 1
    ) {
      throw new SlimclrError(`the checkpoint holds no loss scale ("${lossScaleName}" float64[4])`);
    }
    const [value, good, all, narrow] = data as unknown as [number, number, number, number];
    this.#value = value;
    this.#good = good;
    this.#skipped = { all, narrow };
  }
}
