import { HostGraph, type EngineSource } from '../engines/hostGraph.js';
import { SlimclrError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { rewrite } from '../graph/rewrite.js';
import type { TensorData } from '../onnx/safetensors.js';
import { emitFrozen } from '../programs/emitFrozen.js';
import { portable } from '../targets/portable.js';
import type { CalibrationMethod } from './calibrationMethods.js';
import { entropyThreshold, Histogram, percentileRange } from './histogram.js';
import { quantizableActivations } from './quantizeGraph.js';
import type { Range } from './scales.js';

/** Share of the values that the percentile method keeps in the range. */
const keptShare = 0.9999;

/** As TensorRT has them: parts of the range of which the entropy method tries each as an end. */
const bins = 2048;

/** Values of one batch by name. */
type Activations = Readonly<Record<string, TensorData>>;

/**
 * Ranges of the activations of an inference graph with bound weights, over batches of images `[n, 3, S, S]`, which are
 * gone through once more for a method other than `minmax`: the smallest and largest values; those between which
 * 99.99 % lie; or those up to the magnitude that the entropy method chooses.
 * Throws a SlimclrError for an activation that is not finite.
 */
export async function calibrateRanges(
  graph: Graph,
  batches: readonly TensorData[],
  method: CalibrationMethod,
  on: EngineSource,
): Promise<Map<string, Range>> {
  const model = await HostGraph.open(emitFrozen(activationsGraph(graph), portable), on);
  try {
    const each = async (use: (activations: Activations) => void) => {
      for (const images of batches) use({ ...(await model.run({ images })), images });
    };
    const names = quantizableActivations(graph).map(({ name }) => name);
    const ranges = new Map<string, Range>();
    await each((activations) => {
      for (const name of names) ranges.set(name, widened(ranges.get(name), name, activations[name]!));
    });
    if (method === 'minmax') return ranges;
    const histograms = new Map([...ranges].map(([name, range]) => [name, histogramOf(range, method)]));
    await each((activations) => {
      for (const [name, histogram] of histograms) {
        const values = activations[name]!.data as Float32Array;
        histogram.add(method === 'entropy' ? values.map(Math.abs) : values);
      }
    });
    return new Map(
      [...histograms].map(([name, histogram]) => [name, chosen(ranges.get(name)!, histogram, method)]),
    );
  } finally {
    await model.close();
  }
}

/** The graph with the activations as its outputs, by their names. */
function activationsGraph(graph: Graph): Graph {
  const wanted = new Set(quantizableActivations(graph).map(({ name }) => name));
  const copy = rewrite(graph, { replace: () => null });
  copy.outputs.clear();
  for (const value of copy.nodes.flatMap(({ outputs }) => outputs)) {
    if (wanted.has(value.name)) copy.output(value.name, value);
  }
  copy.prune();
  return copy;
}

function widened(range: Range | undefined, name: string, { data }: TensorData): Range {
  let { min, max } = range ?? { min: Infinity, max: -Infinity };
  for (const value of data as Float32Array) {
    if (value < min) min = value;
    if (value > max) max = value;
    // Neither of the two holds for NaN.
    if (!Number.isFinite(value)) {
      throw new SlimclrError(`${name} is ${value} for an image of the calibration; accepted: finite values`);
    }
  }
  return { min, max };
}

function histogramOf({ min, max }: Range, method: CalibrationMethod): Histogram {
  return new Histogram(method === 'entropy' ? { min: 0, max: Math.max(-min, max, 0) } : { min, max }, bins);
}

function chosen({ min, max }: Range, histogram: Histogram, method: CalibrationMethod): Range {
  if (method === 'percentile') return percentileRange(histogram, keptShare);
  // Of values on both sides of 0 a magnitude has half of the 256 levels.
  const threshold = entropyThreshold(histogram, min < 0 ? 128 : 256);
  return { min: Math.max(min, -threshold), max: Math.min(max, threshold) };
}
