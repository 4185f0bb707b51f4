import { Arena, type ArenaEntry } from '../engines/arena.js';
import type { Binding, Engine, LoadedGraph, Memory, Place } from '../engines/engine.js';
import { encodeModel } from '../onnx/model.js';
import { sgdUpdate } from '../optimizers/sgd.js';
import { emitted } from './openGraph.js';

const momentum = 0.9;

/** Elements of a run: what is added up in between stays in the cache. */
const pieceSize = 524288;

/** Parameters, at first 0, that SGD with momentum 0.9 and without decay trains, in an engine's memory. */
export class SgdArena {
  readonly #parameters: Arena;
  readonly #gradients: Arena;
  readonly #velocity: Arena;
  readonly #rate: Memory<'float32'>;
  readonly #decay: Memory<'float32'>;
  readonly #updates: readonly Binding[];

  private constructor(
    readonly entries: readonly ArenaEntry[],
    private readonly engine: Engine,
    private readonly optimizer: LoadedGraph,
  ) {
    const [parameters, gradients, velocity] = [0, 0, 0].map(() => new Arena(engine, entries));
    this.#parameters = parameters!;
    this.#gradients = gradients!;
    this.#velocity = velocity!;
    this.#rate = engine.allocate('float32', 1);
    this.#decay = engine.allocate('float32', 1);
    const all = { start: 0, end: this.#parameters.length };
    const pieces = (arena: Arena) => arena.pieces(all, pieceSize);
    const [gradient, v] = [pieces(this.#gradients), pieces(this.#velocity)];
    const scalar = (memory: Memory): Place => ({ memory, offset: 0, shape: [] });
    this.#updates = pieces(this.#parameters).map((parameter, i) =>
      engine.bind(
        optimizer,
        {
          parameter,
          velocity: v[i]!,
          gradient: gradient[i]!,
          learning_rate: scalar(this.#rate),
          weight_decay: scalar(this.#decay),
        },
        { new_parameter: parameter, new_velocity: v[i]! },
      ),
    );
  }

  /** `threads`: fewer than the engine's, where it is small. */
  static async open(entries: readonly ArenaEntry[], engine: Engine, threads?: number): Promise<SgdArena> {
    const { model, optimization } = emitted(sgdUpdate({ momentum }));
    const optimizer = await engine.load(encodeModel(model), {
      name: 'update',
      optimization,
      ...(threads !== undefined && { threads }),
    });
    return new SgdArena(entries, engine, optimizer);
  }

  has(name: string): boolean {
    return this.#parameters.has(name);
  }

  /** Where a parameter is. */
  parameter(name: string): Place {
    return this.#parameters.place(name);
  }

  /** Where its gradient is to be before a step. */
  gradient(name: string): Place {
    return this.#gradients.place(name);
  }

  write(name: string, values: Float32Array): Promise<void> {
    return this.#parameters.write(name, values);
  }

  /** A parameter as it is now. */
  read(name: string): Promise<Float32Array> {
    return this.#parameters.read(name);
  }

  async step(learningRate: number): Promise<void> {
    void this.engine.write(this.#rate, Float32Array.of(learningRate));
    await this.engine.run(...this.#updates);
  }

  async close(): Promise<void> {
    await this.optimizer.close();
    const arenas = [this.#parameters, this.#gradients, this.#velocity];
    for (const memory of arenas.flatMap(({ memories }) => memories)) this.engine.free(memory);
    for (const memory of [this.#rate, this.#decay]) this.engine.free(memory);
  }
}
