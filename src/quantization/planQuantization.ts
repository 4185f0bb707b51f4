import type { EngineSource } from '../engines/hostGraph.js';
import type { Graph } from '../graph/graph.js';
import { once } from '../once.js';
import type { TensorData } from '../onnx/safetensors.js';
import { calibrateRanges } from './calibrateRanges.js';
import type { CalibrationMethod } from './calibrationMethods.js';
import { agreement, featuresOf } from './agreement.js';
import { featuresGraph } from './featuresGraph.js';
import { quantizableLayers, quantizeGraph, type QuantizationSettings } from './quantizeGraph.js';
import type { ActivationType } from './scales.js';

export interface QuantizationChoice {
  readonly activations: ActivationType;
  readonly calibration: CalibrationMethod;
}

/** How a graph is quantised, and what that costs. */
export interface QuantizationPlan {
  readonly settings: QuantizationSettings;
  /** The graph, quantised so; the one that passed, where it was tested. */
  readonly quantised: Graph;
  /** Layers that can be quantised. */
  readonly layers: readonly string[];
  /** Those that stay in float32, the most sensitive first; all of them where nothing else fits. */
  readonly float: readonly string[];
  /** Mean cosine of the features of the calibration images with those of the graph itself. */
  readonly cosine: number;
}

/** Images that the layers' sensitivities are measured on. */
const sensitivityImages = 64;

/**
 * Quantises an inference graph with bound weights, for any number of images, with ranges of batches of images
 * `[n, 3, S, S]`. Where `fits` says no to all of its layers, those go back to float32 that turn the features most when
 * each alone is quantised: as few as it takes, found by halving.
 */
export async function planQuantization(
  graph: Graph,
  batches: readonly TensorData[],
  { activations, calibration }: QuantizationChoice,
  fits: (quantised: Graph) => Promise<boolean>,
  on: EngineSource,
): Promise<QuantizationPlan> {
  const ranges = await calibrateRanges(graph, batches, calibration, on);
  const layers = quantizableLayers(graph);
  const settings = (float: readonly string[]) => ({ activations, ranges, float: new Set(float) });
  const planned = async (float: readonly string[], quantised: Graph): Promise<QuantizationPlan> => {
    const reference = await featuresOf(graph, batches, on);
    const cosine = agreement(await featuresOf(quantised, batches, on), reference);
    return { settings: settings(float), quantised, layers, float, cosine };
  };
  const all = quantizeGraph(graph, settings([]));
  if (await fits(all)) return planned([], all);

  const few = firstImages(batches, sensitivityImages);
  const expected = await featuresOf(graph, few, on);
  const cosines = new Map<string, number>();
  for (const layer of quantizableLayers(featuresGraph(graph))) {
    const alone = quantizeGraph(graph, settings(layers.filter((other) => other !== layer)));
    cosines.set(layer, agreement(await featuresOf(alone, few, on), expected));
  }
  const sensitive = [...cosines.keys()].sort((a, b) => cosines.get(a)! - cosines.get(b)!);
  const candidates = new Map<number, Graph>();
  const candidate = (count: number) =>
    once(candidates, count, () => quantizeGraph(graph, settings(sensitive.slice(0, count))));
  const count = await smallestCount(sensitive.length, (n) => fits(candidate(n)));
  // Nothing that the features need is quantised: the rest is not worth a model of its own.
  if (count === sensitive.length) return planned(layers, quantizeGraph(graph, settings(layers)));
  return planned(sensitive.slice(0, count), candidate(count));
}

/** The smallest of 1 to `most` that a test passes, which is not asked of `most`: by doubling, then by halving. */
async function smallestCount(most: number, passes: (count: number) => Promise<boolean>): Promise<number> {
  let [below, count] = [0, 1];
  while (count < most && !(await passes(count))) [below, count] = [count, Math.min(2 * count, most)];
  while (count - below > 1) {
    const middle = (below + count) >> 1;
    if (await passes(middle)) count = middle;
    else below = middle;
  }
  return count;
}

/** So many images, or one batch where that has more. */
function firstImages(batches: readonly TensorData[], images: number): readonly TensorData[] {
  const first: TensorData[] = [];
  let count = 0;
  for (const batch of batches) {
    if (count > 0 && count + batch.shape[0]! > images) break;
    first.push(batch);
    count += batch.shape[0]!;
  }
  return first;
}
