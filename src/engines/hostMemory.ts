import { SlimclrError } from '../errors.js';
import { elementCount } from '../onnx/model.js';
import { refuseOutside } from './checks.js';
import { elements } from './elements.js';
import type { ElementArrays, ElementType, SharedMemory } from './engine.js';
import type { OrtApi, Pointer } from './ortApi.js';
import type { Room, RoomMemory } from './room.js';

const pageBytes = 4096;

/**
 * Memory of the CPU outside the JavaScript heap, from ONNX Runtime's allocator: aligned to 64 bytes, or to a page where
 * it fills some. Half the loads of an AVX-512 register from anywhere else touch two cache lines. In a process with the
 * `memoryEnvironment` it lies in huge pages.
 */
export class HostMemory<T extends ElementType = ElementType> implements RoomMemory<T> {
  /** A subarray is a place. */
  readonly #values: ElementArrays[T];
  #freed = false;

  private constructor(
    private readonly room: HostRoom,
    readonly type: T,
    readonly count: number,
    private readonly address: Pointer,
    /** What the allocator gave; null for memory of somebody else. */
    private readonly block: Pointer | null,
  ) {
    const { array, bytes } = elements[type];
    // A view of no bytes has no address, and no use.
    this.#values =
      count === 0 ? new array(new ArrayBuffer(0)) : new array(room.api.view(address, count * bytes));
  }

  static allocate<T extends ElementType>(room: HostRoom, type: T, count: number): HostMemory<T> {
    const bytes = Math.max(1, count * elements[type].bytes);
    const spare = bytes < pageBytes ? 0 : pageBytes;
    const { api } = room;
    const block = allocated(api, api.defaultAllocator(), bytes + spare, `for ${type}[${count}]`);
    const address = spare === 0 ? block : ((block + 4095n) / 4096n) * 4096n;
    const memory = new HostMemory(room, type, count, address, block);
    if (count > 0) new Uint8Array(memory.#values.buffer).fill(0);
    return memory;
  }

  /** Memory that another thread's engine has allocated. */
  static of<T extends ElementType>(room: HostRoom, { type, count, address }: SharedMemory<T>): HostMemory<T> {
    return new HostMemory(room, type, count, address, null);
  }

  get freed(): boolean {
    return this.#freed;
  }

  shared(): SharedMemory<T> {
    return { type: this.type, count: this.count, address: this.address };
  }

  write(values: ElementArrays[T], offset: number): void {
    // The array of a type takes elements of that type: both are BigInt64Array or neither.
    this.read(offset, values.length).set(values as never);
  }

  /** The memory itself. */
  read(offset: number, count: number): ElementArrays[T] {
    return this.#values.subarray(offset, offset + count) as ElementArrays[T];
  }

  copy(from: HostMemory<T>, start: number, count: number, offset: number): void {
    this.write(from.read(start, count), offset);
  }

  tensor(offset: number, shape: readonly number[]): Pointer {
    const { api, place } = this.room;
    const { bytes, code } = elements[this.type];
    const start = this.address + BigInt(offset * bytes);
    const dimensions = BigInt64Array.from(shape, BigInt);
    return api.createTensor(place, start, elementCount(shape) * bytes, dimensions, shape.length, code);
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    const { api } = this.room;
    if (this.block !== null) api.allocatorFree(api.defaultAllocator(), this.block);
  }

  refuseOutside(offset: number, count: number): void {
    refuseOutside(this, offset, count);
  }

  /** Places begin anywhere. */
  refusePlace(offset: number, count: number): void {
    this.refuseOutside(offset, count);
  }
}

/** The CPU's memory. */
export class HostRoom implements Room {
  readonly placesAnywhere = true;
  readonly queue = { last: Promise.resolve() as Promise<unknown> };
  /** Where tensors are. */
  readonly place: Pointer;

  constructor(readonly api: OrtApi) {
    this.place = api.createCpuMemoryInfo(0, 0);
  }

  allocate<T extends ElementType>(type: T, count: number): HostMemory<T> {
    return HostMemory.allocate(this, type, count);
  }

  isLost(): boolean {
    return false;
  }

  close(): void {
    this.api.releaseMemoryInfo(this.place);
  }
}

/** Memory of an allocator of ONNX Runtime. Throws a SlimclrError, with `what` it is for, where there is none. */
export function allocated(api: OrtApi, allocator: Pointer, bytes: number, what: string): Pointer {
  let reason: unknown = null;
  try {
    const block = api.allocatorAlloc(allocator, bytes);
    if (block !== null) return block;
  } catch (error) {
    reason = error;
  }
  throw new SlimclrError(`no memory ${what}, ${bytes} bytes`, { cause: reason });
}
