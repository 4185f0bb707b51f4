import { join } from 'node:path';
import type { Binding, Engine, LoadedGraph, Places } from '../../engines/engine.js';
import { SlimclrError } from '../../errors.js';
import { sha256 } from '../../onnx/hash.js';
import { decodeModel, encodeModel } from '../../onnx/model.js';
import { repeated } from '../../onnx/repeated.js';
import { readNamedFile } from '../../plainFile.js';
import type { GraphEntry, Manifest } from '../../programs/manifest.js';

/** Told of each run of a graph of the folder when it is over; what it has written may be read and changed. */
export type RunWatcher = (entry: GraphEntry, outputs: Places) => Promise<void>;

/** What is known of a graph's runs; times only where each run is timed for itself. */
export interface GraphRuns {
  readonly runs: number;
  readonly seconds: number;
  /** Ends the trace of all runs so far; gives its path. */
  endTrace(): Promise<string>;
}

export interface StepGraphsOptions {
  /** Graphs that treat every element for itself, and how many pieces of their tensors they take in a run. */
  readonly repetitions?: ReadonlyMap<string, number>;
  /** Folder that the graphs write traces of their runs to; each run is timed for itself then. */
  readonly traceFolder?: string | undefined;
  readonly onRun?: RunWatcher | undefined;
}

/** A graph on the engine. */
export class StepGraph implements GraphRuns {
  runs = 0;
  seconds = 0;

  constructor(
    /** Null for a graph that is no program of the folder. */
    readonly entry: GraphEntry | null,
    readonly graph: LoadedGraph,
    readonly repetitions: number,
  ) {}

  endTrace(): Promise<string> {
    return this.graph.endTrace();
  }

  bind(engine: Engine, inputs: Places, outputs: Places): StepRun {
    return { graph: this, binding: engine.bind(this.graph, inputs, outputs), outputs };
  }
}

/** A graph of a program folder as its file holds it. */
export interface StepModel {
  readonly entry: GraphEntry;
  readonly bytes: Uint8Array;
}

/** A run of a graph that is prepared: nothing but its start is left to do. */
export interface StepRun {
  readonly graph: StepGraph;
  readonly binding: Binding;
  readonly outputs: Places;
}

/** The graphs of a program folder that a step runs, loaded by an engine. */
export class StepGraphs {
  /** Seconds spent inside the engine's runs so far. */
  seconds = 0;

  private constructor(
    readonly engine: Engine,
    readonly byName: Map<string, StepGraph>,
    private readonly options: Pick<StepGraphsOptions, 'traceFolder' | 'onRun'>,
  ) {}

  /**
   * Loads graphs of a folder by their names. Every input must be bound: defaults are what training begins with, and would
   * only take memory. Throws a SlimclrError when a file is not the one that the manifest describes.
   */
  static async open(
    engine: Engine,
    folder: string,
    manifest: Manifest,
    names: readonly string[],
    options: StepGraphsOptions = {},
  ): Promise<StepGraphs> {
    const models: StepModel[] = [];
    for (const name of names) {
      const entry = manifest.graphs.find((graph) => graph.name === name);
      if (!entry) {
        const known = manifest.graphs.map((graph) => graph.name).join(', ');
        throw new SlimclrError(`${folder}: no graph "${name}"; accepted: ${known}`);
      }
      const bytes = await readNamedFile(folder, entry.file);
      if (sha256(bytes) !== entry.sha256) {
        throw new SlimclrError(`${join(folder, entry.file)}: not the file that the manifest describes`);
      }
      models.push({ entry, bytes });
    }
    return StepGraphs.of(engine, models, manifest, options);
  }

  /** Loads models that are in memory. */
  static async of(
    engine: Engine,
    models: readonly StepModel[],
    { optimization }: Pick<Manifest, 'optimization'>,
    { repetitions, traceFolder, onRun }: StepGraphsOptions = {},
  ): Promise<StepGraphs> {
    const graphs = new Map<string, StepGraph>();
    for (const { entry, bytes } of models) {
      const { name } = entry;
      const times = repetitions?.get(name) ?? 1;
      const options = { name, optimization, ...(traceFolder !== undefined && { traceFolder }) };
      graphs.set(name, new StepGraph(entry, await engine.load(prepared(bytes, times), options), times));
    }
    return new StepGraphs(engine, graphs, { traceFolder, onRun });
  }

  get(name: string): StepGraph {
    return this.byName.get(name)!;
  }

  /** What the manifest says of a program. */
  entry(name: string): GraphEntry {
    return this.get(name).entry!;
  }

  /** Loads a graph that is no program of the folder: its time counts as theirs does. */
  async add(
    name: string,
    model: Uint8Array,
    { optimization }: Pick<Manifest, 'optimization'>,
  ): Promise<void> {
    const { traceFolder } = this.options;
    const options = { name, optimization, ...(traceFolder !== undefined && { traceFolder }) };
    this.byName.set(name, new StepGraph(null, await this.engine.load(model, options), 1));
  }

  /** Prepares a run of a graph. */
  bind(name: string, inputs: Places, outputs: Places): StepRun {
    return this.get(name).bind(this.engine, inputs, outputs);
  }

  /** Runs one after the other. */
  async run(runs: readonly StepRun[]): Promise<void> {
    const { traceFolder, onRun } = this.options;
    if (traceFolder !== undefined || onRun) return this.#runEach(runs);
    await this.timed(() => this.engine.run(...runs.map(({ binding }) => binding)));
  }

  /** What the engine does that is no run of a graph of the folder, as far as it is to count as its time. */
  async timed(work: () => Promise<void>): Promise<number> {
    const start = performance.now();
    await work();
    const seconds = (performance.now() - start) / 1000;
    this.seconds += seconds;
    return seconds;
  }

  async close(): Promise<void> {
    for (const { graph } of this.byName.values()) await graph.close();
  }

  async #runEach(runs: readonly StepRun[]): Promise<void> {
    for (const { graph, binding, outputs } of runs) {
      graph.seconds += await this.timed(() => this.engine.run(binding));
      graph.runs += 1;
      if (graph.entry) await this.options.onRun?.(graph.entry, outputs);
    }
  }
}

/** A model without the defaults of its inputs, that takes so many pieces in a run. */
function prepared(bytes: Uint8Array, times: number): Uint8Array {
  const once = decodeModel(bytes);
  const model = times === 1 ? once : repeated(once, times);
  const inputs = new Set(model.inputs.map(({ name }) => name));
  const initializers = model.initializers.filter(({ name }) => !inputs.has(name));
  return encodeModel({ ...model, initializers });
}
