import { sgdUpdate } from '../optimizers/sgd.js';
import { Arena, type ArenaEntry } from '../runtime/arena.js';
import type { InferenceSession } from '../runtime/onnxRuntime.js';
import { scalarTensor, type RuntimeOptions } from '../runtime/session.js';
import { inPieces } from '../training/pieces.js';
import { openGraph } from './openGraph.js';

const momentum = 0.9;

/** Parameters, at first 0, that SGD with momentum 0.9 and without decay trains. */
export class SgdArena {
  readonly parameters: Arena;
  /** Laid out like the parameters; written by the caller before a step. */
  readonly gradients: Arena;
  readonly #velocity: Float32Array;

  private constructor(
    private readonly optimizer: InferenceSession,
    entries: readonly ArenaEntry[],
  ) {
    this.parameters = new Arena(entries);
    this.gradients = new Arena(entries);
    this.#velocity = new Float32Array(this.parameters.data.length);
  }

  static async open(entries: readonly ArenaEntry[], runtime: RuntimeOptions): Promise<SgdArena> {
    return new SgdArena(await openGraph(sgdUpdate({ momentum }), runtime), entries);
  }

  /** One step of the elements from `start` to `end`, all unless told. */
  async step(learningRate: number, start = 0, end = this.parameters.data.length): Promise<void> {
    const arenas = [this.parameters.data, this.#velocity, this.gradients.data];
    for (const [parameter, velocity, gradient] of inPieces({ start, end }, ...arenas)) {
      await this.optimizer.run(
        {
          parameter: parameter!,
          velocity: velocity!,
          gradient: gradient!,
          learning_rate: scalarTensor(learningRate),
          weight_decay: scalarTensor(0),
        },
        { new_parameter: parameter!, new_velocity: velocity! },
      );
    }
  }

  close(): Promise<void> {
    return this.optimizer.release();
  }
}
