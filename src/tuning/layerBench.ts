import { elementCount, encodeModel } from '../onnx/model.js';
import { Random } from '../random.js';
import { createSession, type InferenceSession, type Tensor } from '../runtime/onnxRuntime.js';
import { floatTensor, sessionOptions, type RuntimeOptions } from '../runtime/session.js';
import type { Graph, Value } from '../graph/graph.js';
import { RecordedChoices, type Choices } from '../targets/cpu/choices.js';
import { cpuTarget, type CpuKernels } from '../targets/cpu/index.js';
import { emit } from '../targets/emit.js';
import { lower } from '../targets/lower.js';
import { version } from '../version.js';
import { layerGraph, layerPlaces, type Layer } from './layer.js';
import { race, type Candidate } from './race.js';

/** Answers what tuning wants to know of a layer. */
export interface LayerBench {
  /** What the cpu target asks when it lowers the layer. */
  asked(layer: Layer, choices: Choices): RecordedChoices;
  /** Milliseconds of the layer under each candidate. */
  times(layer: Layer, candidates: readonly Choices[]): Promise<number[]>;
}

/** Layers lowered by the cpu target as those of a network are, on ONNX Runtime. */
export class OrtLayerBench implements LayerBench {
  constructor(
    private readonly kernels: CpuKernels,
    private readonly runtime: RuntimeOptions,
  ) {}

  asked(layer: Layer, choices: Choices): RecordedChoices {
    const recorded = new RecordedChoices(choices);
    this.#lowered(layer, recorded);
    return recorded;
  }

  async times(layer: Layer, candidates: readonly Choices[]): Promise<number[]> {
    const sessions: InferenceSession[] = [];
    try {
      const runs: Candidate[] = [];
      for (const choices of candidates) {
        const graph = this.#lowered(layer, choices);
        const { opset, optimization } = cpuTarget(this.kernels.block);
        const session = await createSession(
          encodeModel(emit(graph, { opset, version })),
          sessionOptions({ ...this.runtime, optimization }),
        );
        sessions.push(session);
        const feeds = tensors(graph.inputs.map((input) => [input.name, input]));
        const fetches = tensors(graph.outputs);
        runs.push(() => session.run(feeds, fetches));
      }
      return await race(runs);
    } finally {
      for (const session of sessions) await session.release();
    }
  }

  #lowered(layer: Layer, choices: Choices): Graph {
    const { block, plainGroups } = this.kernels;
    const target = cpuTarget(block, choices, { plainGroups });
    return lower(layerGraph(layer), target, layerPlaces(layer, target, block));
  }
}

/** Tensors of the types of values, of a few numbers again and again: none that is slow to compute with. */
function tensors(values: Iterable<readonly [string, Value]>): Record<string, Tensor> {
  const random = new Random(0);
  const few = Float32Array.from({ length: 1000 }, () => random.uniform(-1, 1));
  return Object.fromEntries(
    [...values].map(([name, { dims }]) => {
      const data = new Float32Array(elementCount(dims));
      for (let i = 0; i < data.length; i += few.length) data.set(few.subarray(0, data.length - i), i);
      return [name, floatTensor(data, dims)];
    }),
  );
}
