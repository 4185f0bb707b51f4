import type { Config } from '../config/schema.js';
import { Arena, type ArenaEntry } from '../engines/arena.js';
import type { Engine, SharedMemory } from '../engines/engine.js';
import type { Manifest, ParameterEntry } from '../programs/manifest.js';
import { sameShape } from '../graph/graph.js';
import { formatType } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { SlimclrError } from '../errors.js';
import { optimizerOf } from '../optimizers/optimizer.js';
import { keyPrefix } from '../programs/key.js';
import { Random } from '../random.js';
import { LossScale, lossScaleName } from './lossScale.js';
import type { CopiedPart, StateCopy } from './stateCopy.js';
import { pack, storedShape, unpack } from '../targets/parameterLayout.js';

/** First word of the random streams that the queue is drawn from. */
const queueStream = 0x71756575;

/** A contiguous part of the parameter arena, in elements, that the optimiser treats alike. */
export interface ParameterRange {
  readonly start: number;
  readonly end: number;
  readonly decay: boolean;
  /** Whether the full width uses these parameters; the others rest while only it trains. */
  readonly fullWidth: boolean;
}

/** Memories of a state that replicas have together: all but the statistics, which each moves by its own images. */
export interface SharedState {
  readonly parameters: readonly SharedMemory[];
  readonly slots: Readonly<Record<string, readonly SharedMemory[]>>;
  readonly keys: readonly SharedMemory[];
  readonly queue: readonly SharedMemory[];
}

/** Everything that training changes, in a few arenas of an engine. */
export class TrainingState {
  readonly parameters: Arena;
  /** What the optimiser keeps, by the names of its slots, each laid out like `parameters`. */
  readonly slots: ReadonlyMap<string, Arena>;
  /**
   * Parameters of the key network, laid out like `parameters`; those of the full width are alive. Null for methods
   * without a momentum encoder.
   */
  readonly keys: Arena | null;
  /** Running statistics of the query network (all widths) and the key network. */
  readonly statistics: Arena;
  /** Null for methods without a queue. */
  readonly queue: Arena | null;
  readonly ranges: readonly ParameterRange[];
  readonly #entries: ReadonlyMap<string, ParameterEntry>;
  /** Of float16; null in float32. */
  lossScale: LossScale | null;
  /** Steps done. */
  step = 0;

  /** Zeros, or for a replica what the first one has shared. */
  constructor(
    readonly engine: Engine,
    manifest: Manifest,
    private readonly config: Pick<Config, 'method' | 'optimizer' | 'runtime'>,
    shared?: SharedState,
  ) {
    const { method, optimizer } = config;
    const arena = (entries: readonly ArenaEntry[], memories?: readonly SharedMemory[]) =>
      new Arena(
        engine,
        entries,
        memories?.map(({ count, address }) => engine.openShared!({ type: 'float32', count, address })),
      );
    const stored = manifest.parameters.map(({ name, shape, layout }) => ({
      name,
      shape: storedShape(shape, layout),
    }));
    this.parameters = arena(stored, shared?.parameters);
    this.slots = new Map(
      optimizerOf(optimizer).slots.map((slot) => [slot, arena(stored, shared?.slots[slot])]),
    );
    this.keys = manifest.graphs.some(({ kind }) => kind === 'momentum') ? arena(stored, shared?.keys) : null;
    this.statistics = arena(manifest.statistics);
    this.queue =
      'queueSize' in method
        ? arena([{ name: 'queue', shape: [method.queueSize, method.dimension] }], shared?.queue)
        : null;
    this.#entries = new Map(manifest.parameters.map((entry) => [entry.name, entry]));
    this.ranges = ranges(manifest.parameters, manifest.labels[0]!, this.parameters);
    this.lossScale = firstScale(config);
  }

  /** Starts from the weights of a program folder, which are in the target's layouts: the key network copies the query's, the queue is random. */
  async initialize(weights: ReadonlyMap<string, TensorData>, seed: number): Promise<void> {
    await load(this.parameters, weights);
    await load(this.statistics, weights);
    if (this.keys) await load(this.keys, weights);
    for (const arena of this.slots.values()) await arena.writeAll(new Float32Array(arena.length));
    if (this.queue) await this.queue.write('queue', randomQueue(this.queue.place('queue').shape, seed));
    this.lossScale = firstScale(this.config);
    this.step = 0;
  }

  /**
   * A copy of all tensors by the name they have in a checkpoint, row-major whatever the target keeps. Those that are not
   * plain are copied once more when `data` is read.
   */
  async tensors(): Promise<Map<string, TensorData>> {
    const tensors = new Map<string, TensorData>();
    for (const [arena, prefix] of this.#parts()) {
      const values = await arena.readAll();
      for (const { name, shape: stored } of arena.entries) {
        const { shape, layout } = this.#entries.get(name) ?? { shape: stored, layout: 'plain' };
        const view = arena.viewOf(name, values);
        tensors.set(prefix + name, {
          dtype: 'float32',
          shape,
          get data() {
            return unpack(view, shape, layout);
          },
        });
      }
    }
    if (this.lossScale) tensors.set(lossScaleName, this.lossScale.tensor());
    return tensors;
  }

  /** Takes the tensors of a checkpoint. Throws when one is missing or of another shape. */
  async restore(tensors: ReadonlyMap<string, TensorData>, step: number): Promise<void> {
    for (const [arena, prefix] of this.#parts()) {
      for (const { name, shape: stored } of arena.entries) {
        const { shape, layout } = this.#entries.get(name) ?? { shape: stored, layout: 'plain' };
        await arena.write(name, pack(valuesOf(tensors, prefix + name, shape), shape, layout));
      }
    }
    this.lossScale?.load(tensors.get(lossScaleName));
    this.step = step;
  }

  /** What it is now, as a copy: in the memory of an earlier one of this state, where one is given. */
  async copy(into?: StateCopy): Promise<StateCopy> {
    const parts: CopiedPart[] = [];
    for (const [i, [arena, prefix]] of this.#parts().entries()) {
      const part = into?.parts[i] ?? {
        values: new Float32Array(new SharedArrayBuffer(4 * arena.length)),
        tensors: arena.entries.map(({ name, shape: stored }) => {
          const { shape, layout } = this.#entries.get(name) ?? { shape: stored, layout: 'plain' };
          return { name: prefix + name, shape, layout, ...arena.span(name) };
        }),
      };
      await arena.copyTo(part.values);
      parts.push(part);
    }
    return { parts, others: new Map(this.lossScale ? [[lossScaleName, this.lossScale.tensor()]] : []) };
  }

  /** What other threads open as the same state; null where the engine's memory is its own. */
  share(): SharedState | null {
    const share = (arena: Arena | null) => arena?.memories.map((memory) => this.engine.share!(memory)) ?? [];
    if (!this.engine.share) return null;
    return {
      parameters: share(this.parameters),
      slots: Object.fromEntries(Array.from(this.slots, ([slot, arena]) => [slot, share(arena)])),
      keys: share(this.keys),
      queue: share(this.queue),
    };
  }

  /** All of it, in the same order for every state of one config. */
  get arenas(): readonly Arena[] {
    return this.#parts().map(([arena]) => arena);
  }

  #parts(): readonly (readonly [Arena, string])[] {
    return [
      [this.parameters, ''],
      [this.statistics, ''],
      ...(this.keys ? [[this.keys, keyPrefix] as const] : []),
      ...Array.from(this.slots, ([slot, arena]) => [arena, `${slot}.`] as const),
      ...(this.queue ? [[this.queue, ''] as const] : []),
    ];
  }
}

/** What a training begins with. */
function firstScale({ runtime: { precision, lossScale } }: Pick<Config, 'runtime'>): LossScale | null {
  return precision === 'float16' ? new LossScale(lossScale) : null;
}

async function load(arena: Arena, tensors: ReadonlyMap<string, TensorData>): Promise<void> {
  for (const { name, shape } of arena.entries) await arena.write(name, valuesOf(tensors, name, shape));
}

function valuesOf(
  tensors: ReadonlyMap<string, TensorData>,
  name: string,
  shape: readonly number[],
): Float32Array {
  const tensor = tensors.get(name);
  if (!tensor || tensor.dtype !== 'float32' || !sameShape(tensor.shape, shape)) {
    const found = tensor ? formatType(tensor) : 'nothing';
    throw new SlimclrError(
      `tensor ${name}: found ${found}, needed ${formatType({ dtype: 'float32', shape })}`,
    );
  }
  return tensor.data as Float32Array;
}

/** Random unit rows `[K, D]`, as MoCo starts its queue. */
function randomQueue(shape: readonly number[], seed: number): Float32Array {
  const [rows, dimension] = shape as readonly [number, number];
  const values = new Float32Array(rows * dimension);
  for (let row = 0; row < rows; row++) {
    const random = new Random(queueStream, seed, row);
    const entry = values.subarray(row * dimension, (row + 1) * dimension);
    for (let i = 0; i < dimension; i++) entry[i] = random.normal();
    const norm = Math.hypot(...entry);
    for (let i = 0; i < dimension; i++) entry[i] = entry[i]! / norm;
  }
  return values;
}

function ranges(parameters: readonly ParameterEntry[], fullLabel: string, arena: Arena): ParameterRange[] {
  const found: ParameterRange[] = [];
  for (const [i, { name, decay, slices }] of parameters.entries()) {
    const start = arena.offset(name);
    const next = parameters[i + 1];
    const end = next ? arena.offset(next.name) : arena.length;
    const fullWidth = fullLabel in slices;
    const last = found.at(-1);
    if (last && last.decay === decay && last.fullWidth === fullWidth)
      found[found.length - 1] = { ...last, end };
    else found.push({ start, end, decay, fullWidth });
  }
  return found;
}
