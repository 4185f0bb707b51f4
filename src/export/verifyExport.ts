import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageSource } from '../data/source.js';
import { HostGraph, type EngineSource, type HostTensors } from '../engines/hostGraph.js';
import { SlimclrError } from '../errors.js';
import { requireFiniteRows } from '../evaluation/finite.js';
import type { LinearClassifier } from '../evaluation/linearClassifier.js';
import { openProgram, weightFeeds } from '../evaluation/openGraph.js';
import { elementCount } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { embedProgram } from '../programs/embed.js';
import { meanCosine } from '../quantization/agreement.js';
import type { CheckBatch } from './checkBatches.js';
import type { ExportedModel, ExportSubject } from './exportModel.js';
import { requireAgreement } from './exportTolerance.js';
import type { ExportForm } from './form.js';
import { imagesType } from './inputForm.js';

/** What a check of an exported model found. */
export interface Verification {
  /**
   * Largest |exported - training side| over the largest |training side|, of the output where it is largest. Of
   * logits see `scoreError`.
   */
  readonly maxRelativeError: number;
  /** Median milliseconds of one image, or of one batch where its size is fixed. */
  readonly latency: number;
}

/** Runs before the timed ones, and timed ones: as many as fit into the seconds, within these bounds. */
const warmUpRuns = 3;
const timedRuns = { atLeast: 5, atMost: 50, seconds: 1 };

/**
 * Compares an exported model with the training side, the embed program fed with the checkpoint's weights, on
 * images, those of `source` for messages, and times it. Throws a SlimclrError when they differ by more
 * than their precision accounts for (`requireAgreement`), and for an output of either that is not finite.
 */
export async function verifyExport(
  model: WrittenModel,
  subject: ExportSubject,
  width: number,
  batches: readonly CheckBatch[],
  classifier?: LinearClassifier,
  source: ImageSource | undefined = undefined,
  on: EngineSource = subject.config.runtime,
): Promise<Verification> {
  const origin = source && { width, source };
  const count = batches.reduce((sum, { images }) => sum + images.shape[0]!, 0);
  const expected = await trainingSide(subject, width, batches, on);
  for (const [name, data] of expected) requireFiniteRows(data, data.length / count, name, origin);
  const { graph, close } = await openModel(model, on);
  try {
    const exported = await runBatches(graph, batches.map(({ fed, images }) => ({ feeds: { images: fed }, count: images.shape[0]! }))); // prettier-ignore
    const errors = [...expected].map(([name, data]) => relativeError(exported.get(name)!, data));
    if (classifier) {
      const [logits, features] = [exported.get('logits')!, exported.get('features')!];
      requireFiniteRows(logits, classifier.classes, 'logits', origin);
      // Of the exported features, which agree with the training side's: what is left is the classifier's own error.
      errors.push(scoreError(logits, classifier, features));
    }
    const maxRelativeError = Math.max(...errors);
    const cosines = [...expected].map(([name, data]) =>
      meanCosine(exported.get(name)!, data, data.length / count),
    );
    requireAgreement(subject.form.precision, width, maxRelativeError, Math.min(...cosines));
    return { maxRelativeError, latency: await medianLatency(graph, batches[0]!.fed, subject.form) };
  } finally {
    await close();
  }
}

/** Outputs of the embed program. */
async function trainingSide(
  { network, config, weights, form }: ExportSubject,
  width: number,
  batches: readonly CheckBatch[],
  on: EngineSource,
): Promise<Map<string, Float32Array>> {
  const program = embedProgram(network, config, width, { head: form.head, maps: form.outputs });
  const { entry, graph } = await openProgram(network, config, program, on);
  try {
    const fixed = weightFeeds(entry.inputs, weights);
    return await runBatches(
      graph,
      batches.map(({ images }) => ({ feeds: { ...fixed, images }, count: images.shape[0]! })),
    );
  } finally {
    await graph.close();
  }
}

/** The first `count` rows of each output of each run, one behind the other. */
async function runBatches(
  graph: HostGraph,
  batches: readonly { readonly feeds: HostTensors; readonly count: number }[],
): Promise<Map<string, Float32Array>> {
  const parts = new Map<string, Float32Array[]>();
  for (const { feeds, count } of batches) {
    for (const [name, { shape, data }] of Object.entries(await graph.run(feeds))) {
      const own = (data as Float32Array).slice(0, (data.length / shape[0]!) * count);
      parts.set(name, [...(parts.get(name) ?? []), own]);
    }
  }
  return new Map([...parts].map(([name, arrays]) => [name, concatenated(arrays)]));
}

function concatenated(arrays: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
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
  model: WrittenModel,
  { config, form }: Pick<ExportSubject, 'config' | 'form'>,
  width: number,
  on: EngineSource = config.runtime,
): Promise<number> {
  const { graph, close } = await openModel(model, on);
  try {
    const { dtype, shape: fed } = imagesType({ ...form, resize: false }, config.data);
    const shape = fed.map((d) => (typeof d === 'number' ? d : 1));
    const data =
      dtype === 'uint8' ? new Uint8Array(elementCount(shape)) : new Float32Array(elementCount(shape));
    const images = { dtype, shape, data };
    for (const [name, { data }] of Object.entries(await graph.run({ images }))) {
      if ((data as Float32Array).every(Number.isFinite)) continue;
      throw new SlimclrError(`the ${name} of width ${width} for an image of zeros are not finite`);
    }
    return await medianLatency(graph, images, form);
  } finally {
    await close();
  }
}

/** A model as it is going to be written; without `externalData` it is whole. */
type WrittenModel = Pick<ExportedModel, 'bytes'> & Partial<Pick<ExportedModel, 'externalData'>>;

/** Opens a model; one with external data from a temporary folder, beside them. */
async function openModel({ bytes, externalData }: WrittenModel, on: EngineSource) {
  if (!externalData) {
    const graph = await HostGraph.open(bytes, on);
    return { graph, close: () => graph.close() };
  }
  const folder = await mkdtemp(join(tmpdir(), 'slimclr-export-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, 'model.onnx');
    await writeFile(join(folder, externalData.file), externalData.bytes);
    await writeFile(path, bytes);
    const graph = await HostGraph.open(path, on);
    return { graph, close: () => graph.close().finally(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Of one image, or a whole batch where its size is fixed. */
async function medianLatency(graph: HostGraph, images: TensorData, { batch }: ExportForm): Promise<number> {
  const [count, ...rest] = images.shape as [number, ...number[]];
  const shape = [batch ?? 1, ...rest];
  const data = (images.data as Float32Array | Uint8Array).subarray(
    0,
    (images.data.length / count) * shape[0]!,
  );
  const image: TensorData = { dtype: images.dtype, shape, data };
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
