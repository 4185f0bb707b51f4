import type { Config } from '../config/schema.js';
import type { ImageSource } from '../data/source.js';
import { floats, HostGraph, type EngineSource, type HostTensors } from '../engines/hostGraph.js';
import { SlimclrError } from '../errors.js';
import { requireFiniteRows } from '../evaluation/finite.js';
import type { LinearClassifier } from '../evaluation/linearClassifier.js';
import { openProgram, weightFeeds } from '../evaluation/openGraph.js';
import { elementCount } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { embedProgram } from '../programs/embed.js';
import type { ExportSubject } from './exportModel.js';

/** What a check of an exported model found. */
export interface Verification {
  /**
   * Largest |exported - training side| over the largest |training side|, of the output where it is largest. Of
   * logits see `scoreError`.
   */
  readonly maxRelativeError: number;
  /** Median milliseconds of one image, batch 1. */
  readonly latency: number;
}

/** Largest relative error that a verified export may have. */
export const exportTolerance = 1e-4;

/** Runs before the timed ones, and timed ones: as many as fit into the seconds, within these bounds. */
const warmUpRuns = 3;
const timedRuns = { atLeast: 5, atMost: 50, seconds: 1 };

/**
 * Compares an exported model with the training side, the embed program fed with the checkpoint's weights, on
 * images `[n, 3, S, S]`, those of `source` for messages, and times it. Throws a SlimclrError when they differ by more
 * than `exportTolerance`, and for an output of either that is not finite.
 */
export async function verifyExport(
  bytes: Uint8Array,
  subject: ExportSubject,
  width: number,
  images: TensorData,
  classifier?: LinearClassifier,
  source: ImageSource | undefined = undefined,
  on: EngineSource = subject.config.runtime,
): Promise<Verification> {
  const origin = source && { width, source };
  const count = images.shape[0]!;
  const expected = await trainingSide(subject, width, images, on);
  for (const [name, { data }] of Object.entries(expected)) {
    requireFiniteRows(data as Float32Array, data.length / count, name, origin);
  }
  const graph = await HostGraph.open(bytes, on);
  try {
    const exported = await graph.run({ images });
    const errors = Object.entries(expected).map(([name, { data }]) =>
      relativeError(exported[name]!.data as Float32Array, data as Float32Array),
    );
    if (classifier) {
      const [logits, features] = [exported['logits']!, exported['features']!];
      requireFiniteRows(logits.data as Float32Array, classifier.classes, 'logits', origin);
      // Of the exported features, which agree with the training side's: what is left is the classifier's own error.
      errors.push(scoreError(logits.data as Float32Array, classifier, features.data as Float32Array));
    }
    const maxRelativeError = Math.max(...errors);
    // Not `>`: NaN is a failure.
    if (!(maxRelativeError <= exportTolerance)) {
      throw new SlimclrError(
        `the exported model of width ${width} differs from the training side by a relative ` +
          `${maxRelativeError.toExponential(1)}; accepted: at most ${exportTolerance}`,
      );
    }
    return { maxRelativeError, latency: await medianLatency(graph, images) };
  } finally {
    await graph.close();
  }
}

/** Outputs of the embed program. */
async function trainingSide(
  { network, config, weights, head }: ExportSubject,
  width: number,
  images: TensorData,
  on: EngineSource,
): Promise<HostTensors> {
  const { entry, graph } = await openProgram(network, config, embedProgram(network, config, width, head), on);
  try {
    return await graph.run({ ...weightFeeds(entry.inputs, weights), images });
  } finally {
    await graph.close();
  }
}

/**
 * Largest error of the scores `[n, classes]` of features `[n, C]` against float64, over the largest sum of the
 * magnitudes that a score is the sum of: features far from 0 cancel, and float32 keeps no more of a sum than that.
 */
function scoreError(
  logits: Float32Array,
  { classes, channels, weight, bias }: LinearClassifier,
  features: Float32Array,
): number {
  if (logits.length * channels !== features.length * classes) return Infinity;
  let [difference, largest] = [0, 0];
  for (const [i, logit] of logits.entries()) {
    const [row, c] = [Math.floor(i / classes), i % classes];
    let [sum, size] = [bias[c]!, Math.abs(bias[c]!)];
    for (let k = 0; k < channels; k++) {
      const product = weight[c * channels + k]! * features[row * channels + k]!;
      sum += product;
      size += Math.abs(product);
    }
    difference = Math.max(difference, Math.abs(logit - sum));
    largest = Math.max(largest, size);
  }
  return difference === 0 ? 0 : difference / largest;
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Infinity;
  let [difference, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return difference === 0 ? 0 : difference / largest;
}

/** Times a model that there are no images for, on an image of zeros. Throws a SlimclrError for outputs that are not finite. */
export async function timeExport(
  bytes: Uint8Array,
  { data: { imageSize }, runtime }: Config,
  width: number,
  on: EngineSource = runtime,
): Promise<number> {
  const graph = await HostGraph.open(bytes, on);
  try {
    const shape = [1, 3, imageSize, imageSize];
    const images = floats(new Float32Array(elementCount(shape)), shape);
    for (const [name, { data }] of Object.entries(await graph.run({ images }))) {
      if ((data as Float32Array).every(Number.isFinite)) continue;
      throw new SlimclrError(`the ${name} of width ${width} for an image of zeros are not finite`);
    }
    return await medianLatency(graph, images);
  } finally {
    await graph.close();
  }
}

async function medianLatency(graph: HostGraph, images: TensorData): Promise<number> {
  const [, ...shape] = images.shape;
  const size = shape.reduce((a, b) => a * b, 1);
  const image = floats((images.data as Float32Array).subarray(0, size), [1, ...shape]);
  const times: number[] = [];
  for (let run = 0; run < warmUpRuns; run++) await graph.run({ images: image });
  const deadline = performance.now() + 1000 * timedRuns.seconds;
  let end = performance.now();
  while (times.length < timedRuns.atLeast || (times.length < timedRuns.atMost && end < deadline)) {
    const start = performance.now();
    await graph.run({ images: image });
    end = performance.now();
    times.push(end - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}
