import { readFile } from 'node:fs/promises';
import { SlimclrError } from '../errors.js';
import { once } from '../once.js';
import { decodeModel } from '../onnx/decode.js';
import { elementCount, encodeModel, formatShape, type NamedType, type OnnxModel } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { elements } from './elements.js';
import type { Binding, ElementType, Engine, LoadedGraph, LoadOptions, Memory, Place } from './engine.js';
import { engineOf, type EngineSource } from './openEngine.js';

export type { EngineSource };

export type HostTensors = Readonly<Record<string, TensorData>>;

/**
 * A graph that runs on arrays of the host and gives its outputs as arrays of the host: for what keeps no state with an
 * engine. Memory for every shape that was run is kept until it is closed.
 */
export class HostGraph {
  readonly #memories = new Map<string, Memory>();
  readonly #bindings = new Map<string, { binding: Binding; outputs: ReadonlyMap<string, Place> }>();
  readonly #held = new Map<string, Place>();
  /** The end of the runs that were asked for: they share memories, so each waits for the one before. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly model: OnnxModel,
    private readonly engine: Engine,
    private readonly graph: LoadedGraph,
    private readonly release: () => Promise<void>,
  ) {}

  /**
   * A model, its bytes, or the path of its file, beside which its external data are; on an engine of its own unless one
   * is given. Throws a SlimclrError for what the engine refuses.
   */
  static async open(
    model: OnnxModel | Uint8Array | string,
    on: EngineSource,
    options: Partial<LoadOptions> = {},
  ): Promise<HostGraph> {
    const { engine, release } = await engineOf(on);
    try {
      const isEncoded = typeof model === 'string' || model instanceof Uint8Array;
      const encoded = isEncoded ? model : encodeModel(model);
      const decoded = !isEncoded
        ? model
        : typeof model === 'string'
          ? decodeModel(await readFile(model), model)
          : decodeModel(model);
      const graph = await engine.load(encoded, { name: decoded.graphName, ...options });
      return new HostGraph(decoded, engine, graph, release);
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** Inputs that are the same in every run from here on, and need not be given to it. */
  async hold(feeds: HostTensors): Promise<void> {
    for (const [name, tensor] of Object.entries(feeds)) this.#held.set(name, await this.#place(name, tensor));
  }

  /** Runs the graph, after the runs that were asked for before. An input with a default may be left out. */
  run(feeds: HostTensors): Promise<Record<string, TensorData>> {
    const run = this.#last.then(() => this.#run(feeds));
    this.#last = run.catch(() => {});
    return run;
  }

  async #run(feeds: HostTensors): Promise<Record<string, TensorData>> {
    const places = new Map(this.#held);
    for (const [name, tensor] of Object.entries(feeds)) places.set(name, await this.#place(name, tensor));
    const key = [...places].map(([name, { shape }]) => `${name}${formatShape(shape)}`).join();
    const { binding, outputs } = once(this.#bindings, key, () => this.#bind(places));
    await this.engine.run(binding);
    const results: Record<string, TensorData> = {};
    for (const [name, { memory, shape }] of outputs) {
      const data = (await this.engine.read(memory)).slice() as TensorData['data'];
      results[name] = { dtype: memory.type, shape: [...shape], data };
    }
    return results;
  }

  /** Ends the trace of a graph that was opened with a `traceFolder`; gives its path. */
  endTrace(): Promise<string> {
    return this.graph.endTrace();
  }

  async close(): Promise<void> {
    await this.graph.close();
    for (const memory of this.#memories.values()) this.engine.free(memory);
    this.#memories.clear();
    await this.release();
  }

  /** The tensor where the engine has it. */
  async #place(name: string, { dtype, shape, data }: TensorData): Promise<Place> {
    const declared = this.model.inputs.find((input) => input.name === name);
    if (declared && declared.type.dtype !== dtype) {
      throw new SlimclrError(`${this.graph.name}: ${name} is ${dtype}; accepted: ${declared.type.dtype}`);
    }
    const place = this.#memory(name, dtype, shape);
    await this.engine.write(place.memory, data as never);
    return place;
  }

  /** One memory for each number of elements that an input or output has had. */
  #memory(name: string, dtype: string, shape: readonly number[]): Place {
    if (!(dtype in elements)) {
      throw new SlimclrError(
        `${this.graph.name}: ${name} is ${dtype}; accepted: ${Object.keys(elements).join(', ')}`,
      );
    }
    const count = elementCount(shape);
    const memory = once(this.#memories, `${name}[${count}]`, () =>
      this.engine.allocate(dtype as ElementType, count),
    );
    return { memory, offset: 0, shape };
  }

  #bind(inputs: ReadonlyMap<string, Place>): { binding: Binding; outputs: ReadonlyMap<string, Place> } {
    const lengths = new Map<string, number>();
    for (const { name, type } of this.model.inputs) {
      const place = inputs.get(name);
      type.shape.forEach((d, i) => typeof d === 'string' && place && lengths.set(d, place.shape[i]!));
    }
    const outputs = new Map(
      this.model.outputs.map(({ name, type: { dtype, shape } }) => [
        name,
        this.#memory(
          name,
          dtype,
          shape.map((d) => (typeof d === 'number' ? d : lengthOf(d, name, lengths))),
        ),
      ]),
    );
    const binding = this.engine.bind(this.graph, Object.fromEntries(inputs), Object.fromEntries(outputs));
    return { binding, outputs };
  }
}

/** A model whose inputs are all fed: their defaults would only take memory. */
export function withoutDefaults(model: OnnxModel): OnnxModel {
  const inputs = new Set(model.inputs.map(({ name }: NamedType) => name));
  return { ...model, initializers: model.initializers.filter(({ name }) => !inputs.has(name)) };
}

/** A float32 tensor over an array that it shares with the caller. */
export function floats(data: Float32Array, shape: readonly number[]): TensorData {
  return { dtype: 'float32', shape: [...shape], data };
}

export function float64Scalar(value: number): TensorData {
  return { dtype: 'float64', shape: [], data: Float64Array.of(value) };
}

/** Class indices as the graphs take them: int64 `[N]`. */
export function int64Vector(values: ArrayLike<number>): TensorData {
  return { dtype: 'int64', shape: [values.length], data: BigInt64Array.from(Array.from(values, BigInt)) };
}

function lengthOf(dimension: string, output: string, lengths: ReadonlyMap<string, number>): number {
  const length = lengths.get(dimension);
  if (length === undefined)
    throw new SlimclrError(`${output}: no input says how long its dimension "${dimension}" is`);
  return length;
}
