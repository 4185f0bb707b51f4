import type { Graph, TensorType } from '../../src/graph/graph.js';
import { encodeModel, formatShape } from '../../src/onnx/model.js';
import { createSession, newTensor, type Tensor } from '../../src/runtime/onnxRuntime.js';
import { emit } from '../../src/targets/emit.js';
import { lower } from '../../src/targets/lower.js';
import { portable } from '../../src/targets/portable.js';
import type { ParameterPlaces, Target } from '../../src/targets/target.js';

/** Elements of tensors by name, row-major. A bool is 0 or 1. */
export type Tensors = Readonly<Record<string, readonly number[]>>;

export interface RunOptions {
  readonly target?: Target;
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
  return loweredModel(graph, options).bytes;
}

function loweredModel(graph: Graph, { target = portable, opset = target.opset, places }: RunOptions) {
  const lowered = lower(graph, target, places);
  const model = emit(lowered, { opset, version: '0.0.0' });
  // onnxruntime-node ignores feeds for overridable initializers; without a default they are plain inputs.
  const inputs = new Set(model.inputs.map(({ name }) => name));
  const initializers = model.initializers.filter(({ name }) => !inputs.has(name));
  return { lowered, bytes: encodeModel({ ...model, initializers }) };
}

/** Loads a graph into ONNX Runtime: one thread, CPU. Every run checks the shapes that the graph declares. */
export async function loadGraph(graph: Graph, options: RunOptions = {}): Promise<LoadedGraph> {
  const { lowered, bytes } = loweredModel(graph, options);
  const session = await createSession(bytes, {
    intraOpNumThreads: 1,
    enableMemPattern: false,
    logSeverityLevel: 3,
    graphOptimizationLevel: (options.target ?? portable).optimization,
  });
  return {
    async run(feeds) {
      const results = await session.run(
        Object.fromEntries(lowered.inputs.map(({ name, type }) => [name, tensor(name, type, feeds[name])])),
      );
      return Object.fromEntries(
        [...graph.outputs].map(([name, { type }]) => [name, elements(name, type, results[name]!)]),
      );
    },
    release: () => session.release(),
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

function tensor(name: string, { dtype, shape }: TensorType, values: readonly number[] | undefined): Tensor {
  if (!values) throw new Error(`no values for input ${name}`);
  // A symbolic dimension is as long as the values make it.
  const known = shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1);
  const dims = shape.map((d) => (typeof d === 'number' ? d : values.length / known));
  // From plain numbers ONNX Runtime makes the typed array of any dtype; the overload named here stands for all.
  return newTensor(dtype as 'float32', values, dims);
}

function elements(name: string, { dtype, shape }: TensorType, result: Tensor): number[] {
  const found = `${result.type}${formatShape(result.dims)}`;
  const declared = `${dtype}${formatShape(shape)}`;
  const fits =
    shape.length === result.dims.length &&
    shape.every((d, i) => typeof d === 'string' || d === result.dims[i]);
  if (!fits || dtype !== result.type) {
    throw new Error(`output ${name} is ${found}, the graph declares ${declared}`);
  }
  return Array.from(result.data as ArrayLike<number | bigint>, Number);
}
