import type { Engine, Place } from '../engines/engine.js';
import type { EngineOptions } from '../engines/engineOptions.js';
import { openEngine } from '../engines/openEngine.js';
import { elementCount, encodeModel } from '../onnx/model.js';
import { Random } from '../random.js';
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
    private readonly runtime: EngineOptions,
  ) {}

  asked(layer: Layer, choices: Choices): RecordedChoices {
    const recorded = new RecordedChoices(choices);
    this.#lowered(layer, recorded);
    return recorded;
  }

  async times(layer: Layer, candidates: readonly Choices[]): Promise<number[]> {
    const engine = await openEngine(this.runtime);
    try {
      const runs: Candidate[] = [];
      for (const choices of candidates) {
        const graph = this.#lowered(layer, choices);
        const { opset, optimization } = cpuTarget(this.kernels.block);
        const model = encodeModel(emit(graph, { opset, version }));
        const loaded = await engine.load(model, { name: 'layer', optimization });
        const inputs = await places(
          engine,
          graph.inputs.map((input) => [input.name, input]),
        );
        const binding = engine.bind(loaded, inputs, await places(engine, graph.outputs));
        runs.push(() => engine.run(binding));
      }
      return await race(runs);
    } finally {
      await engine.close();
    }
  }

  #lowered(layer: Layer, choices: Choices): Graph {
    const { block, plainGroups } = this.kernels;
    const target = cpuTarget(block, choices, { plainGroups });
    return lower(layerGraph(layer), target, layerPlaces(layer, target, block));
  }
}

/** Places of values, of a few numbers again and again: none that is slow to compute with. */
async function places(
  engine: Engine,
  values: Iterable<readonly [string, Value]>,
): Promise<Record<string, Place>> {
  const random = new Random(0);
  const few = Float32Array.from({ length: 1000 }, () => random.uniform(-1, 1));
  const found: Record<string, Place> = {};
  for (const [name, { dims }] of values) {
    const data = new Float32Array(elementCount(dims));
    for (let i = 0; i < data.length; i += few.length) data.set(few.subarray(0, data.length - i), i);
    const memory = engine.allocate('float32', data.length);
    await engine.write(memory, data);
    found[name] = { memory, offset: 0, shape: dims };
  }
  return found;
}
