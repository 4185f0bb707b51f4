import { SlimclrError } from '../../errors.js';
import { refuseOutside } from '../checks.js';
import { elements } from '../elements.js';
import type { ElementArrays, ElementType } from '../engine.js';
import type { Pointer } from '../ortApi.js';
import type { RoomMemory } from '../room.js';
import type { WebGpuRoom } from './webGpuRoom.js';

/** A buffer, made when it is first used. */
export class WebGpuMemory<T extends ElementType = ElementType> implements RoomMemory<T> {
  #value: Promise<Pointer> | null = null;
  #freed = false;

  constructor(
    private readonly room: WebGpuRoom,
    readonly type: T,
    readonly count: number,
  ) {}

  get freed(): boolean {
    return this.#freed;
  }

  refuseOutside(offset: number, count: number): void {
    refuseOutside(this, offset, count);
  }

  refusePlace(offset: number, count: number): void {
    this.refuseOutside(offset, count);
    if (offset === 0 && count === this.count) return;
    throw new SlimclrError(
      `a place of ${count} elements at ${offset}; accepted: all of ${this.type}[${this.count}]`,
    );
  }

  value(): Promise<Pointer> {
    return (this.#value ??= this.#create());
  }

  async write(values: ElementArrays[T], offset: number): Promise<void> {
    const { type, count, room } = this;
    const value = await this.value();
    if (values.length === 0) return;
    if (values.length === count) return room.upload(type, value, values, count);
    if (values instanceof Float32Array) {
      return room.withUploaded(values, (part) => room.patch(value, count, part, values.length, offset));
    }
    const all = await this.#readAll();
    // The array of a type takes elements of that type.
    all.set(values as never, offset);
    await room.upload(type, value, all, count);
  }

  async read(offset: number, count: number): Promise<ElementArrays[T]> {
    const { type, room } = this;
    if (type !== 'float32' || count === this.count || count === 0) {
      return (await this.#readAll()).subarray(offset, offset + count) as ElementArrays[T];
    }
    const part = await room.part(await this.value(), this.count, offset, offset + count);
    const result = new Float32Array(count);
    try {
      await room.download(type, part, result, count);
    } finally {
      room.api.releaseValue(part);
    }
    return result as ElementArrays[T];
  }

  async copy(from: WebGpuMemory<T>, start: number, count: number, offset: number): Promise<void> {
    const { room } = this;
    if (this.type !== 'float32') return this.write(await from.read(start, count), offset);
    if (count === 0) return;
    const [source, target] = [await from.value(), await this.value()];
    const isWhole = count === from.count;
    const part = isWhole ? source : await room.part(source, from.count, start, start + count);
    try {
      await room.patch(target, this.count, part, count, offset);
    } finally {
      if (!isWhole) room.api.releaseValue(part);
    }
  }

  async tensor(_offset: number, shape: readonly number[]): Promise<Pointer> {
    return this.room.over(this.type, await this.value(), shape);
  }

  async free(): Promise<void> {
    if (this.#freed) return;
    this.#freed = true;
    const value = await this.#value?.catch(() => null);
    if (value) this.room.api.releaseValue(value);
  }

  async #readAll(): Promise<ElementArrays[T]> {
    const { type, count } = this;
    const all = new elements[type].array(new ArrayBuffer(count * elements[type].bytes));
    if (count > 0) await this.room.download(type, await this.value(), all, count);
    return all;
  }

  async #create(): Promise<Pointer> {
    const value = await this.room.create(this.type, this.count);
    if (value !== null) return value;
    const bytes = this.count * elements[this.type].bytes;
    throw new SlimclrError(`no memory on the device for ${this.type}[${this.count}], ${bytes} bytes`);
  }
}
