import { SlimclrError } from '../errors.js';
import type { LinearClassifier } from '../evaluation/linearClassifier.js';
import { openProgram, weightFeeds } from '../evaluation/openGraph.js';
import { embedProgram } from '../programs/embed.js';
import { createSession, type InferenceSession } from '../runtime/onnxRuntime.js';
import { floatTensor, sessionOptions, type Tensor, type Tensors } from '../runtime/session.js';
import type { ExportSubject } from './exportModel.js';

/** What a check of an exported model found. */
export interface Verification {
  /** Largest |exported - training side| over the largest |training side|, of the output where it is largest. */
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
  const expected = await trainingSide(subject, width, images);
  const session = await createSession(bytes, sessionOptions(runtime));
  try {
    const exported = await session.run({ images });
    const errors = Object.entries(expected).map(([name, { data }]) =>
      relativeError(exported[name]!.data as Float32Array, data as Float32Array),
    );
    if (classifier) {
      const features = expected['features']!.data as Float32Array;
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

/** Outputs of the embed program. */
async function trainingSide(
  { network, config, weights, head }: ExportSubject,
  width: number,
  images: Tensor,
): Promise<Tensors> {
  const session = await openProgram(network, config, embedProgram(network, config, width, head));
  try {
    return await session.run({ ...weightFeeds(session.entry.inputs, weights), images });
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

async function medianLatency(session: InferenceSession, images: Tensor): Promise<number> {
  const [, ...shape] = images.dims;
  const size = shape.reduce((a, b) => a * b, 1);
  const image = floatTensor((images.data as Float32Array).subarray(0, size), [1, ...shape]);
  const times: number[] = [];
  for (let run = 0; run < warmUpRuns; run++) await session.run({ images: image });
  const deadline = performance.now() + 1000 * timedRuns.seconds;
  let end = performance.now();
  while (times.length < timedRuns.atLeast || (times.length < timedRuns.atMost && end < deadline)) {
    const start = performance.now();
    await session.run({ images: image });
    end = performance.now();
    times.push(end - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}
