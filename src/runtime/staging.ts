import { floatTensor, type Tensor } from './session.js';

/**
 * Tensors with memory of their own for values that lie in memory shared between threads, which ONNX Runtime rejects.
 * One a place: what is staged there next takes its memory.
 */
export class Staging {
  readonly #tensors = new Map<number, Tensor>();

  stage(place: number, values: Float32Array, shape: readonly number[]): Tensor {
    let tensor = this.#tensors.get(place);
    if (!tensor || tensor.data.length !== values.length) {
      tensor = floatTensor(new Float32Array(values.length), shape);
      this.#tensors.set(place, tensor);
    }
    (tensor.data as Float32Array).set(values);
    return tensor;
  }
}
