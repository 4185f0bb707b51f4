import { Arena } from '../engines/arena.js';
import type { Engine, Place } from '../engines/engine.js';

/** Scalars that a step writes, float32, in one small memory: what has changed goes to the engine when they are sent. */
export class ScalarInputs {
  readonly #arena: Arena;
  readonly #values: Float32Array;
  #changed = true;

  constructor(engine: Engine, names: readonly string[]) {
    this.#arena = new Arena(
      engine,
      names.map((name) => ({ name, shape: [] })),
    );
    this.#values = new Float32Array(this.#arena.length);
  }

  place(name: string): Place<'float32'> {
    return this.#arena.place(name);
  }

  set(name: string, value: number): void {
    const offset = this.#arena.offset(name);
    const before = this.#values[offset];
    this.#values[offset] = value;
    if (this.#values[offset] !== before) this.#changed = true;
  }

  async send(): Promise<void> {
    if (!this.#changed) return;
    this.#changed = false;
    await this.#arena.writeAll(this.#values);
  }
}

/** Scalars that graphs write, float32, in one small memory, read all at once. */
export class ScalarOutputs {
  readonly #arena: Arena;
  #values: Float32Array = new Float32Array();

  constructor(engine: Engine, names: readonly string[]) {
    this.#arena = new Arena(
      engine,
      names.map((name) => ({ name, shape: [] })),
    );
  }

  place(name: string): Place<'float32'> {
    return this.#arena.place(name);
  }

  has(name: string): boolean {
    return this.#arena.has(name);
  }

  /** Takes what the runs so far have written. */
  async receive(): Promise<void> {
    this.#values = await this.#arena.readAll();
  }

  get(name: string): number {
    return this.#values[this.#arena.offset(name)]!;
  }
}
