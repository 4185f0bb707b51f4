import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MethodName } from '../../src/config/methods.js';
import { viewSize, type Config } from '../../src/config/schema.js';
import type { Engine, Place, Places } from '../../src/engines/engine.js';
import { replicaOptions } from '../../src/engines/engineOptions.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { Graph } from '../../src/graph/graph.js';
import { elementCount, encodeModel } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { Builder } from '../../src/ops/builder.js';
import { keyPrefix } from '../../src/programs/key.js';
import { emitFrozen } from '../../src/programs/emitFrozen.js';
import type { GraphEntry, Manifest, ParameterEntry } from '../../src/programs/manifest.js';
import { unpack } from '../../src/targets/parameterLayout.js';
import { portable } from '../../src/targets/portable.js';
import { TrainingState } from '../../src/training/state.js';
import { modelFile } from '../../src/training/steps/frozenModel.js';
import { MethodStep } from '../../src/training/steps/methodStep.js';
import type { MicroBatch, StepCounts } from '../../src/training/steps/step.js';
import { rowMajorGradient } from './step.js';

type NamedTensors = Map<string, TensorData>;

/** Where in a training the compared step is. */
export interface Moment {
  readonly learningRate: number;
  readonly steps: StepCounts;
  /** Only the full width trains. */
  readonly slowStart: boolean;
}

/**
 * One step of training by the step that training itself runs, on the programs of a folder. Inputs and results are
 * named as in README.md, row-major whatever layout the graphs keep; what one query graph computes is taken from it
 * as it runs. A gradient may have more channels than its width uses, as many as fill the kernels' blocks.
 */
export async function runTrainingStep(
  folder: string,
  manifest: Manifest,
  inputs: ReadonlyMap<string, TensorData>,
  { learningRate, steps, slowStart }: Moment,
): Promise<NamedTensors> {
  const config = manifest.config as Config;
  const engine = await openEngine(replicaOptions(config.runtime));
  const state = new TrainingState(engine, manifest, config);
  await state.restore(withKeys(inputs, manifest), steps.all);
  await writeTeacher(folder, config);
  const results: NamedTensors = new Map();
  const recorder = new Recorder(engine, manifest, config, inputs);
  const onRun = recorder.record.bind(recorder);
  const step = await MethodStep.open(folder, manifest, config, state, { onRun });
  const batches = microBatches(inputs, config);
  const { losses } = await step.run({ batches, learningRate, allWidths: !slowStart, steps });

  for (const [label, { loss, terms }] of Object.entries(losses)) {
    for (const [name, value] of Object.entries({ loss, ...terms })) {
      results.set(`${label}.${name}`, { dtype: 'float32', shape: [], data: Float32Array.of(value) });
    }
  }
  for (const [name, tensor] of recorder.results()) results.set(name, tensor);
  const { total } = step.runner.gradients;
  const sums = await total.readAll();
  for (const { name, shape, layout } of manifest.parameters) {
    if (!recorder.trained.has(name)) continue;
    results.set(`grad.${name}`, {
      dtype: 'float32',
      shape,
      data: unpack(total.viewOf(name, sums), shape, layout),
    });
  }
  const keyInputs = new Set(
    manifest.graphs.find(({ kind }) => kind === 'key')?.inputs.map(({ name }) => name),
  );
  for (const [name, tensor] of await state.tensors()) {
    // The key network has room for what it does not use.
    if (name.startsWith(keyPrefix) && !keyInputs.has(name)) continue;
    results.set(`new.${name}`, tensor);
  }
  await step.close();
  await engine.close();
  return results;
}

/** Takes from the graphs what they compute, and gives the losses the keys that the inputs hold. */
class Recorder {
  /** Parameters that some width has a gradient of. */
  readonly trained = new Set<string>();
  readonly #parameters: ReadonlyMap<string, ParameterEntry>;
  readonly #kind: MethodName;
  /** Micro-batches of a step. */
  readonly #batches: number;
  readonly #gradients: NamedTensors = new Map();
  readonly #rows = new Map<string, Rows>();

  /** Of each graph so far. */
  readonly #runs = new Map<string, number>();

  constructor(
    private readonly engine: Engine,
    manifest: Manifest,
    config: Config,
    private readonly inputs: ReadonlyMap<string, TensorData>,
  ) {
    this.#parameters = new Map(manifest.parameters.map((entry) => [entry.name, entry]));
    this.#kind = config.method.kind;
    this.#batches = config.accumulation;
  }

  /** After each run of a graph. */
  async record(entry: GraphEntry, outputs: Places): Promise<void> {
    const runs = this.#runs.get(entry.name) ?? 0;
    this.#runs.set(entry.name, runs + 1);
    if (entry.kind === 'query') await this.#query(entry, outputs, runs);
    if (entry.kind === 'key' || entry.kind === 'normalize') await this.#keys(outputs['keys']!, runs);
  }

  /** Gradients by width, embeddings, logits and keys. */
  results(): NamedTensors {
    const rows = [...this.#rows].map(([name, rows]) => [name, rows.tensor()] as const);
    return new Map([...this.#gradients, ...rows]);
  }

  async #query({ width = '', outputs: declared }: GraphEntry, outputs: Places, run: number): Promise<void> {
    for (const { name, of = '' } of declared) {
      const parameter = this.#parameters.get(of);
      if (!parameter) continue;
      this.trained.add(of);
      const gradient = rowMajorGradient(await this.#values(outputs[name]!), parameter, width);
      const sum = this.#gradients.get(`${width}.${name}`)?.data as Float32Array | undefined;
      if (!sum) this.#gradients.set(`${width}.${name}`, gradient);
      else (gradient.data as Float32Array).forEach((value, i) => (sum[i]! += value));
    }
    const { embedding, logits } = outputs;
    const rows = embedding && (await this.#values(embedding));
    if (rows && this.#kind === 'simclr') {
      // Of all micro-batches, this one's first, in each view.
      for (const view of [0, 1]) {
        const start = (view * rows.length) / 2;
        const own = rows.subarray(start, start + rows.length / (2 * this.#batches));
        this.#add(`${width}.embedding`, embedding, view, own);
      }
    } else if (rows) this.#add(`${width}.embedding`, embedding, this.#viewOf(run), rows);
    // Negatives within the batch have no order of their own, so neither have the columns of such logits.
    if (this.#kind !== 'simclr' && this.#kind !== 'moco-v3') {
      this.#add(`${width}.logits`, logits!, 0, await this.#values(logits!));
    }
  }

  async #keys(keys: Place, run: number): Promise<void> {
    const name = this.#kind === 'moco-v3' ? `keys${this.#viewOf(run) + 1}` : 'keys';
    const values = await this.#values(keys);
    const { count } = this.#add(name, keys, 0, values);
    const given = this.inputs.get(name)?.data as Float32Array | undefined;
    if (given) await this.engine.write(keys.memory, given.slice(count - values.length, count), keys.offset);
  }

  /** Which view a run of a graph is of: MoCo v3 takes turns. */
  #viewOf(run: number): number {
    return this.#kind === 'moco-v3' ? run % 2 : 0;
  }

  async #values({ memory, offset, shape }: Place): Promise<Float32Array> {
    return Float32Array.from((await this.engine.read(memory, offset, elementCount(shape))) as Float32Array);
  }

  #add(name: string, tensor: Place, view: number, data: Float32Array): Rows {
    const rows = this.#rows.get(name) ?? new Rows(tensor.shape[1]!);
    this.#rows.set(name, rows);
    rows.add(view, data);
    return rows;
  }
}

/** Rows of all micro-batches, those of view 1 before those of view 2. */
class Rows {
  readonly #views: [number[], number[]] = [[], []];

  constructor(private readonly columns: number) {}

  get count(): number {
    return this.#views[0].length + this.#views[1].length;
  }

  add(view: number, data: Float32Array): void {
    for (const value of data) this.#views[view]!.push(value);
  }

  tensor(): TensorData {
    const data = Float32Array.from(this.#views.flat());
    return { dtype: 'float32', shape: [data.length / this.columns, this.columns], data };
  }
}

/** The inputs with a key network's parameters: what it does not use is the trained network's. */
export function withKeys(inputs: ReadonlyMap<string, TensorData>, { parameters }: Manifest): NamedTensors {
  const all: NamedTensors = new Map(inputs);
  for (const { name } of parameters) {
    const key = `${keyPrefix}${name}`;
    if (!all.has(key)) all.set(key, inputs.get(name)!);
  }
  return all;
}

export function microBatches(
  inputs: ReadonlyMap<string, TensorData>,
  { accumulation }: Config,
): MicroBatch[] {
  const part = (name: string, index: number) => {
    const data = inputs.get(name)?.data as Float32Array | undefined;
    const length = (data?.length ?? 0) / accumulation;
    return data?.subarray(index * length, (index + 1) * length);
  };
  return Array.from({ length: accumulation }, (_, index) => {
    const labels = part('labels', index);
    return {
      views: [part('view1', index)!, part('view2', index)!],
      labels: labels ? Int32Array.from(labels) : null,
    };
  });
}

/** A teacher whose embedding of an image are its first pixels. */
export async function writeTeacher(folder: string, config: Config): Promise<void> {
  if (config.method.kind !== 'seed') return;
  const { batchSize } = config;
  const size = viewSize(config);
  const graph = new Graph('teacher');
  const b = new Builder(graph);
  const images = graph.input('images', { dtype: 'float32', shape: [batchSize, 3, size, size] });
  const pixels = b.reshape(images, [batchSize, 3 * size * size]);
  const { dimension } = config.method;
  graph.output('embedding', b.op('Slice', [pixels], { starts: [0], ends: [dimension], axes: [1] }));
  await writeFile(join(folder, modelFile({ key: 'teacher' })), encodeModel(emitFrozen(graph, portable)));
}

/** What that teacher gives, `[M, D]`, not normalised. */
export function teacherOf({ data, shape }: TensorData, dimension: number): TensorData {
  const [count] = shape as [number];
  const pixels = data.length / count;
  const rows = new Float32Array(count * dimension);
  for (let n = 0; n < count; n++) {
    rows.set((data as Float32Array).subarray(n * pixels, n * pixels + dimension), n * dimension);
  }
  return { dtype: 'float32', shape: [count, dimension], data: rows };
}
