import { elementCount } from '../onnx/model.js';
import type { Engine, Memory, Place } from './engine.js';

export interface ArenaEntry {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Elements `start` to `end`, exclusive, of an arena. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Every tensor starts at a multiple of 64 bytes: a cache line, an AVX-512 register. */
const alignment = 16;

/**
 * Named float32 tensors in an engine's memory, one behind the other, so that whatever treats all elements alike
 * (optimiser, momentum update, checkpoint) is one pass over them. Gaps between tensors stay zero. Where the engine's
 * places do not begin anywhere each tensor has memory of its own, and offsets are those that it would have.
 */
export class Arena {
  readonly entries: readonly ArenaEntry[];
  /** Elements, those between the tensors too. */
  readonly length: number;
  /** One for all, or one for each tensor. */
  readonly memories: readonly Memory<'float32'>[];
  readonly #offsets = new Map<string, number>();
  readonly #places = new Map<string, Place<'float32'>>();

  /** `memories`: those of another arena of the same entries, as this engine knows them; default: new ones. */
  constructor(
    readonly engine: Engine,
    entries: readonly ArenaEntry[],
    memories?: readonly Memory<'float32'>[],
  ) {
    this.entries = entries;
    let size = 0;
    for (const { name, shape } of entries) {
      this.#offsets.set(name, size);
      size += Math.ceil(elementCount(shape) / alignment) * alignment;
    }
    this.length = size;
    const sizes = engine.placesAnywhere ? [size] : entries.map(({ shape }) => elementCount(shape));
    this.memories = memories ?? sizes.map((count) => engine.allocate('float32', count));
    for (const [i, { name, shape }] of entries.entries()) {
      const place = engine.placesAnywhere
        ? { memory: this.memories[0]!, offset: this.#offsets.get(name)! }
        : { memory: this.memories[i]!, offset: 0 };
      this.#places.set(name, { ...place, shape });
    }
  }

  /** Where a tensor is; in a `shape` of as many elements, where a graph has another than the arena. */
  place(name: string, shape?: readonly number[]): Place<'float32'> {
    const place = this.#places.get(name);
    if (!place) throw new Error(`the arena holds no "${name}"`);
    return shape ? { ...place, shape } : place;
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  /** Where a tensor starts, in elements. */
  offset(name: string): number {
    const offset = this.#offsets.get(name);
    if (offset === undefined) throw new Error(`the arena holds no "${name}"`);
    return offset;
  }

  /**
   * Cuts a range into places `[n]` of at most `size` elements, or where places do not begin anywhere one for each of
   * its tensors. Arenas of the same entries are cut alike.
   */
  pieces({ start, end }: Span, size: number): Place<'float32'>[] {
    const pieces: Place<'float32'>[] = [];
    if (this.engine.placesAnywhere) {
      for (let from = start; from < end; from += size)
        pieces.push(this.#flat(from, Math.min(size, end - from)));
      return pieces;
    }
    for (const { name, shape } of this.entries) {
      const offset = this.offset(name);
      if (offset >= start && offset < end) {
        pieces.push({ ...this.place(name), shape: [elementCount(shape)] });
      }
    }
    return pieces;
  }

  /** A copy of a tensor's elements. */
  async read(name: string): Promise<Float32Array> {
    const { memory, offset, shape } = this.place(name);
    return (await this.engine.read(memory, offset, elementCount(shape))).slice();
  }

  /** A copy of all elements. */
  async readAll(): Promise<Float32Array> {
    const all = new Float32Array(this.length);
    await this.copyTo(all);
    return all;
  }

  /** Writes all elements into `values`, which has as many. */
  async copyTo(values: Float32Array): Promise<void> {
    const { engine, memories, entries } = this;
    if (engine.placesAnywhere) return values.set(await engine.read(memories[0]!));
    for (const [i, { name }] of entries.entries()) {
      values.set(await engine.read(memories[i]!), this.offset(name));
    }
  }

  /** A tensor within what `readAll` has given. */
  viewOf(name: string, all: Float32Array): Float32Array {
    const { start, end } = this.span(name);
    return all.subarray(start, end);
  }

  /** Where a tensor lies, in elements. */
  span(name: string): Span {
    const start = this.offset(name);
    return { start, end: start + elementCount(this.place(name).shape) };
  }

  write(name: string, values: Float32Array): Promise<void> {
    const { memory, offset } = this.place(name);
    return this.engine.write(memory, values, offset);
  }

  /** `values`: as `readAll` gives them. */
  async writeAll(values: Float32Array): Promise<void> {
    if (this.engine.placesAnywhere) return this.engine.write(this.memories[0]!, values);
    for (const { name } of this.entries) await this.write(name, this.viewOf(name, values));
  }

  #flat(offset: number, count: number): Place<'float32'> {
    return { memory: this.memories[0]!, offset, shape: [count] };
  }
}
