import { sameShape } from '../graph/graph.js';
import { elementCount } from '../onnx/model.js';
import { alignedFloats } from './alignedFloats.js';
import { floatTensor, type Tensor } from './session.js';

export interface ArenaEntry {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Every tensor starts at a multiple of 64 bytes: a cache line, an AVX-512 register. */
const alignment = 16;

/**
 * Named float32 tensors in one contiguous buffer, so that whatever treats all elements alike (optimiser,
 * momentum update, checkpoint) is one pass over it. Gaps between tensors stay zero.
 */
export class Arena {
  readonly data: Float32Array;
  readonly entries: readonly ArenaEntry[];
  readonly #offsets = new Map<string, number>();
  readonly #tensors = new Map<string, Tensor>();

  constructor(entries: readonly ArenaEntry[]) {
    this.entries = entries;
    let size = 0;
    for (const { name, shape } of entries) {
      this.#offsets.set(name, size);
      size += Math.ceil(elementCount(shape) / alignment) * alignment;
    }
    this.data = alignedFloats(size);
    for (const { name, shape } of entries) {
      const offset = this.#offsets.get(name)!;
      this.#tensors.set(name, floatTensor(this.data.subarray(offset, offset + elementCount(shape)), shape));
    }
  }

  /** The tensor's elements, shared with the arena. */
  view(name: string): Float32Array {
    return this.tensor(name).data as Float32Array;
  }

  /**
   * The tensor over the arena's memory: fed, it is read in place; fetched into, it is written in place. In a `shape` of
   * as many elements, where a graph has another than the arena.
   */
  tensor(name: string, shape?: readonly number[]): Tensor {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`the arena holds no "${name}"`);
    return !shape || sameShape(tensor.dims, shape) ? tensor : tensor.reshape(shape);
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** Where a tensor starts, in elements. */
  offset(name: string): number {
    const offset = this.#offsets.get(name);
    if (offset === undefined) throw new Error(`the arena holds no "${name}"`);
    return offset;
  }
}
