import { SlimclrError } from '../errors.js';
import { elementCount } from '../onnx/model.js';
import { elements } from './elements.js';
import type { ElementArrays, ElementType, Memory, SharedMemory } from './engine.js';
import type { OrtApi, Pointer } from './ortApi.js';

const pageBytes = 4096;

/**
 * Memory of the CPU outside the JavaScript heap, from ONNX Runtime's allocator: aligned to 64 bytes, or to a page where
 * it fills some. Half the loads of an AVX-512 register from anywhere else touch two cache lines. In a process with the
 * `memoryEnvironment` it lies in huge pages.
 */
export class HostMemory<T extends ElementType = ElementType> implements Memory<T> {
  /** A subarray is a place. */
  readonly #values: ElementArrays[T];
  #freed = false;

  private constructor(
    private readonly api: OrtApi,
    readonly type: T,
    readonly count: number,
    private readonly address: Pointer,
    /** What the allocator gave; null for memory of somebody else. */
    private readonly block: Pointer | null,
  ) {
    const { array, bytes } = elements[type];
    // A view of no bytes has no address, and no use.
    this.#values = count === 0 ? new array(new ArrayBuffer(0)) : new array(api.view(address, count * bytes));
  }

  static allocate<T extends ElementType>(api: OrtApi, type: T, count: number): HostMemory<T> {
    const bytes = Math.max(1, count * elements[type].bytes);
    const spare = bytes < pageBytes ? 0 : pageBytes;
    const block = allocated(api, type, count, bytes + spare);
    const address = spare === 0 ? block : ((block + 4095n) / 4096n) * 4096n;
    const memory = new HostMemory(api, type, count, address, block);
    if (count > 0) new Uint8Array(memory.#values.buffer).fill(0);
    return memory;
  }

  /** Memory that another thread's engine has allocated. */
  static of<T extends ElementType>(api: OrtApi, { type, count, address }: SharedMemory<T>): HostMemory<T> {
    return new HostMemory(api, type, count, address, null);
  }

  get freed(): boolean {
    return this.#freed;
  }

  shared(): SharedMemory<T> {
    return { type: this.type, count: this.count, address: this.address };
  }

  elements(offset: number, count: number): ElementArrays[T] {
    this.#refuseOutside(offset, count);
    return this.#values.subarray(offset, offset + count) as ElementArrays[T];
  }

  /** A value of ONNX Runtime over a place; the caller releases it. */
  tensor(memoryInfo: Pointer, offset: number, shape: readonly number[]): Pointer {
    const count = elementCount(shape);
    this.#refuseOutside(offset, count);
    const { bytes, code } = elements[this.type];
    const start = this.address + BigInt(offset * bytes);
    const dimensions = BigInt64Array.from(shape, BigInt);
    return this.api.createTensor(memoryInfo, start, count * bytes, dimensions, shape.length, code);
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    if (this.block !== null) this.api.allocatorFree(this.api.defaultAllocator(), this.block);
  }

  #refuseOutside(offset: number, count: number): void {
    if (this.#freed) throw new SlimclrError(`${this.type}[${this.count}] is freed`);
    if (
      !Number.isInteger(offset) ||
      !Number.isInteger(count) ||
      offset < 0 ||
      count < 0 ||
      offset + count > this.count
    ) {
      throw new SlimclrError(
        `elements ${offset} to ${offset + count}; accepted: of ${this.type}[${this.count}]`,
      );
    }
  }
}

function allocated(api: OrtApi, type: ElementType, count: number, bytes: number): Pointer {
  let reason: unknown = null;
  try {
    const block = api.allocatorAlloc(api.defaultAllocator(), bytes);
    if (block !== null) return block;
  } catch (error) {
    reason = error;
  }
  throw new SlimclrError(`no memory for ${type}[${count}], ${bytes} bytes`, { cause: reason });
}
