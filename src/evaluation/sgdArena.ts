import type { Binding, Engine, LoadedGraph, Memory, Place } from '../engines/engine.js';
import { elementCount, encodeModel } from '../onnx/model.js';
import { sgdUpdate } from '../optimizers/sgd.js';
import { emitted } from './openGraph.js';

const momentum = 0.9;

/** Elements of a run: what is added up in between stays in the cache. */
const pieceSize = 524288;
/** Where memories are shared, every tensor starts at a multiple of 64 bytes. */
const alignment = 16;

export interface ArenaEntry {
  readonly name: string;
  readonly shape: readonly number[];
}

interface Memories {
  readonly parameter: Memory<'float32'>;
  readonly gradient: Memory<'float32'>;
  readonly velocity: Memory<'float32'>;
}

/**
 * Parameters, at first 0, that SGD with momentum 0.9 and without decay trains, in an engine's memory: one after the
 * other, so that an update is a pass over all, or each on its own where a place has to be a whole memory.
 */
export class SgdArena {
  private constructor(
    readonly entries: readonly ArenaEntry[],
    private readonly engine: Engine,
    private readonly optimizer: LoadedGraph,
    private readonly parts: ReadonlyMap<string, Memories & { readonly offset: number }>,
    private readonly memories: readonly Memories[],
    private readonly scalars: Readonly<Record<'learning_rate' | 'weight_decay', Memory<'float32'>>>,
    private readonly updates: readonly Binding[],
  ) {}

  /** `threads`: fewer than the engine's, where it is small. */
  static async open(entries: readonly ArenaEntry[], engine: Engine, threads?: number): Promise<SgdArena> {
    const { model, optimization } = emitted(sgdUpdate({ momentum }));
    const optimizer = await engine.load(encodeModel(model), {
      name: 'update',
      optimization,
      ...(threads !== undefined && { threads }),
    });
    const memories: Memories[] = [];
    const allocate = (count: number): Memories => {
      const [parameter, gradient, velocity] = [0, 0, 0].map(() => engine.allocate('float32', count));
      const all = { parameter: parameter!, gradient: gradient!, velocity: velocity! };
      memories.push(all);
      return all;
    };
    const parts = new Map<string, Memories & { readonly offset: number }>();
    if (engine.placesAnywhere) {
      let size = 0;
      const offsets = entries.map(({ shape }) => {
        const offset = size;
        size += Math.ceil(elementCount(shape) / alignment) * alignment;
        return offset;
      });
      const shared = allocate(size);
      entries.forEach(({ name }, i) => parts.set(name, { ...shared, offset: offsets[i]! }));
    } else {
      for (const { name, shape } of entries) parts.set(name, { ...allocate(elementCount(shape)), offset: 0 });
    }
    const scalars = {
      learning_rate: engine.allocate('float32', 1),
      weight_decay: engine.allocate('float32', 1),
    };
    const updates = memories.flatMap((memory) => boundUpdates(engine, optimizer, memory, scalars));
    return new SgdArena(entries, engine, optimizer, parts, memories, scalars, updates);
  }

  has(name: string): boolean {
    return this.parts.has(name);
  }

  /** Where a parameter is. */
  parameter(name: string): Place {
    const { parameter: memory, offset } = this.parts.get(name)!;
    return { memory, offset, shape: this.#shape(name) };
  }

  /** Where its gradient is to be before a step. */
  gradient(name: string): Place {
    const { gradient: memory, offset } = this.parts.get(name)!;
    return { memory, offset, shape: this.#shape(name) };
  }

  write(name: string, values: Float32Array): Promise<void> {
    const { parameter, offset } = this.parts.get(name)!;
    return this.engine.write(parameter, values, offset);
  }

  /** A parameter as it is now. */
  async read(name: string): Promise<Float32Array> {
    const { parameter, offset } = this.parts.get(name)!;
    return (await this.engine.read(parameter, offset, elementCount(this.#shape(name)))).slice();
  }

  async step(learningRate: number): Promise<void> {
    void this.engine.write(this.scalars.learning_rate, Float32Array.of(learningRate));
    await this.engine.run(...this.updates);
  }

  async close(): Promise<void> {
    await this.optimizer.close();
    for (const { parameter, gradient, velocity } of this.memories) {
      for (const memory of [parameter, gradient, velocity]) this.engine.free(memory);
    }
    for (const memory of Object.values(this.scalars)) this.engine.free(memory);
  }

  #shape(name: string): readonly number[] {
    return this.entries.find((entry) => entry.name === name)!.shape;
  }
}

/** The update of memories, piece by piece. */
function boundUpdates(
  engine: Engine,
  optimizer: LoadedGraph,
  { parameter, gradient, velocity }: Memories,
  scalars: Readonly<Record<string, Memory>>,
): Binding[] {
  const bindings: Binding[] = [];
  const { count } = parameter;
  const size = engine.placesAnywhere ? pieceSize : Math.max(1, count);
  const scalarPlaces = Object.fromEntries(
    Object.entries(scalars).map(([name, memory]) => [name, { memory, offset: 0, shape: [] }]),
  );
  for (let offset = 0; offset < count; offset += size) {
    const place = (memory: Memory) => ({ memory, offset, shape: [Math.min(size, count - offset)] });
    const [p, v] = [place(parameter), place(velocity)];
    bindings.push(
      engine.bind(
        optimizer,
        { parameter: p, velocity: v, gradient: place(gradient), ...scalarPlaces },
        { new_parameter: p, new_velocity: v },
      ),
    );
  }
  return bindings;
}
