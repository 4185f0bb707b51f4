import { HostGraph, withoutDefaults } from '../../src/engines/hostGraph.js';
import type { Graph, TensorType } from '../../src/graph/graph.js';
import { encodeModel, type OnnxModel } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { emit } from '../../src/targets/emit.js';
import { lower } from '../../src/targets/lower.js';
import { portable } from '../../src/targets/portable.js';
import type { ParameterPlaces, Target } from '../../src/targets/target.js';
import { numbers, tensorOf } from './tensors.js';
import { trainingEngine } from './trainingEngine.js';
import { webGpuEngine } from './webGpu.js';

/** Elements of tensors by name, row-major. A bool is 0 or 1. */
export type Tensors = Readonly<Record<string, readonly number[]>>;

export interface RunOptions {
  readonly target?: Target;
  /** What the graph runs on; default: the CPU. */
  readonly provider?: 'webgpu' | undefined;
  /** Default: the target's. */
  readonly opset?: number;
  /** Layouts of parameters among the inputs; their elements are fed in that order. Default: all are plain. */
  readonly places?: ParameterPlaces;
}

export interface LoadedGraph {
  /** Feeds every input, those with a default too, and returns every output. */
  run(feeds: Tensors): Promise<Record<string, number[]>>;
  release(): Promise<void>;
}

/** The model of a graph as ONNX Runtime gets it: lowered, emitted, encoded, without defaults of inputs. */
export function modelBytes(graph: Graph, options: RunOptions = {}): Uint8Array {
  return encodeModel(loweredModel(graph, options).model);
}

function loweredModel(
  graph: Graph,
  { target = portable, opset = target.opset, places }: RunOptions,
): { lowered: Graph; model: OnnxModel } {
  const lowered = lower(graph, target, places);
  return { lowered, model: withoutDefaults(emit(lowered, { opset, version: '0.0.0' })) };
}

/** Loads a graph into the ONNX Runtime that runs its target: one thread, CPU unless told. Every run checks the shapes that the graph declares. */
export async function loadGraph(graph: Graph, options: RunOptions = {}): Promise<LoadedGraph> {
  const { lowered, model } = loweredModel(graph, options);
  const { name, optimization } = options.target ?? portable;
  const engine =
    name === 'ort-training'
      ? await trainingEngine()
      : options.provider === 'webgpu'
        ? await webGpuEngine()
        : ({ provider: 'cpu', threads: 1 } as const);
  const loaded = await HostGraph.open(model, engine, { optimization });
  return {
    async run(feeds) {
      const results = await loaded.run(
        Object.fromEntries(lowered.inputs.map(({ name, type }) => [name, tensor(name, type, feeds[name])])),
      );
      return Object.fromEntries([...graph.outputs.keys()].map((name) => [name, numbers(results[name]!)]));
    },
    release: () => loaded.close(),
  };
}

/** Loads a graph, runs it once and releases it. */
export async function runGraph(graph: Graph, feeds: Tensors, options: RunOptions = {}) {
  const loaded = await loadGraph(graph, options);
  try {
    return await loaded.run(feeds);
  } finally {
    await loaded.release();
  }
}

function tensor(
  name: string,
  { dtype, shape }: TensorType,
  values: readonly number[] | undefined,
): TensorData {
  if (!values) throw new Error(`no values for input ${name}`);
  // A symbolic dimension is as long as the values make it.
  const known = shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1);
  const dims = shape.map((d) => (typeof d === 'number' ? d : values.length / known));
  return tensorOf(dtype, values, dims);
}
