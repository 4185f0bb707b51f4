import * as ort from 'onnxruntime-node';
import { SlimclrError } from '../errors.js';
import type { LinearClassifier } from '../evaluation/linearClassifier.js';
import { openProgram, weightFeeds } from '../evaluation/openGraph.js';
import { embedProgram } from '../programs/embed.js';
import { floatTensor, sessionOptions, type Tensor } from '../runtime/session.js';
import type { ExportSubject } from './exportModel.js';

/** What a check of an exported model found. */
export interface Verification {
  /** Largest |exported - training side| over the largest |training side|: of the features, and of the logits if any. */
  readonly maxRelativeError: number;
  /** Median milliseconds of one image, batch 1. */
  readonly latency: number;
}

/** Largest relative error that a verified export may have. */
export const exportTolerance = 1e-4;

/** Runs before the timed ones, and timed ones. */
const [warmUpRuns, timedRuns] = [5, 50];

/**
 * Compares an exported model with the training side, the embed program fed with the checkpoint's weights, on
 * images `[n, 3, S, S]`, and times it. Throws a SlimclrError when they differ by more than `exportTolerance`.
 */
export async function verifyExport(
  bytes: Uint8Array,
  subject: ExportSubject,
  width: number,
  images: Tensor,
  classifier?: LinearClassifier,
): Promise<Verification> {
  const { runtime } = subject.config;
  const features = await trainingFeatures(subject, width, images);
  const session = await ort.InferenceSession.create(bytes, sessionOptions(runtime));
  try {
    const exported = await session.run({ images });
    const errors = [relativeError(exported['features']!.data as Float32Array, features)];
    if (classifier) {
      errors.push(relativeError(exported['logits']!.data as Float32Array, scores(classifier, features)));
    }
    const maxRelativeError = Math.max(...errors);
    // Not `>`: NaN is a failure.
    if (!(maxRelativeError <= exportTolerance)) {
      throw new SlimclrError(
        `the exported model of width ${width} differs from the training side by a relative ` +
          `${maxRelativeError.toExponential(1)}; accepted: at most ${exportTolerance}`,
      );
    }
    return { maxRelativeError, latency: await medianLatency(session, images) };
  } finally {
    await session.release();
  }
}

async function trainingFeatures(
  { network, config, weights }: ExportSubject,
  width: number,
  images: Tensor,
): Promise<Float32Array> {
  const session = await openProgram(network, config, embedProgram(network, config, width));
  try {
    const outputs = await session.run({ ...weightFeeds(session.entry.inputs, weights), images });
    return outputs['features']!.data as Float32Array;
  } finally {
    await session.close();
  }
}

/** Features `[n, C]` -> scores `[n, classes]`, in float64. */
function scores({ classes, channels, weight, bias }: LinearClassifier, features: Float32Array): Float64Array {
  const rows = features.length / channels;
  return Float64Array.from({ length: rows * classes }, (_, i) => {
    const [row, c] = [Math.floor(i / classes), i % classes];
    let sum = bias[c]!;
    for (let k = 0; k < channels; k++) sum += weight[c * channels + k]! * features[row * channels + k]!;
    return sum;
  });
}

function relativeError(actual: Float32Array, expected: Float32Array | Float64Array): number {
  if (actual.length !== expected.length) return Infinity;
  let [difference, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return difference === 0 ? 0 : difference / largest;
}

async function medianLatency(session: ort.InferenceSession, images: Tensor): Promise<number> {
  const [, ...shape] = images.dims;
  const size = shape.reduce((a, b) => a * b, 1);
  const image = floatTensor((images.data as Float32Array).subarray(0, size), [1, ...shape]);
  const times: number[] = [];
  for (let run = 0; run < warmUpRuns + timedRuns; run++) {
    const start = performance.now();
    await session.run({ images: image });
    if (run >= warmUpRuns) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}
