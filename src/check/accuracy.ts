import type { ForeignModel } from '../engines/foreignModel.js';
import { UsageError } from '../errors.js';
import { knnAccuracy } from '../evaluation/knn.js';
import { defaultKnnSettings } from '../evaluation/knnSettings.js';
import type { LabelledSource } from '../evaluation/labelledImages.js';
import type { ModelStructure } from '../onnx/structure.js';
import { batchOf, pixelForm, type InputOptions } from './fixedInputs.js';
import { imagePixels, imageTensor, toBytes } from './pixels.js';
import { checkRow, type CheckRow } from './results.js';

/** Points of kNN accuracy, of 100, that a model may lose by default. */
export const defaultDrop = 0.5;

/** kNN accuracy of a model, and of what. */
export interface MeasuredAccuracy {
  /** Share of the images whose class is found. */
  readonly knn: number;
  /** The output that are its features. */
  readonly output: string;
  readonly images: number;
  /** Identity of the images (`ImageSource.fingerprint`). */
  readonly fingerprint: string;
}

export interface AccuracyOptions extends InputOptions {
  /** The output that are the features; default: `features`, else the first of floats. */
  readonly features?: string;
  readonly onProgress?: (message: string) => void;
}

/** Images that are decoded and run at once. */
const chunk = 64;

/**
 * k nearest neighbours of the images of odd places within their class, among those of even places. Throws a UsageError
 * for a model that takes anything but images, and for one without such an output.
 */
export async function modelAccuracy(
  model: ForeignModel,
  { inputs, metadata }: Pick<ModelStructure, 'inputs' | 'metadata'>,
  source: LabelledSource,
  options: AccuracyOptions = {},
): Promise<MeasuredAccuracy> {
  const [port] = inputs;
  const form = port && pixelForm(port, metadata, options);
  if (!form || inputs.length > 1) {
    const names = inputs.map(({ name }) => name).join(', ');
    throw new UsageError(
      `kNN of a model of the inputs ${names}; accepted: a model whose only input are images`,
    );
  }
  const size = batchOf(port) ?? chunk;
  let output = options.features;
  let data: Float32Array | undefined;
  let channels = 0;
  for (let start = 0; start < source.length; start += size) {
    options.onProgress?.(`features of ${start} of ${source.length} images`);
    const count = Math.min(size, source.length - start);
    const rows = batchOf(port) ?? count;
    const pixels = await imagePixels(source, form, start, rows);
    const shape = [rows, form.height, form.width, form.channels] as const;
    const tensor = imageTensor(form.dtype === 'uint8' ? toBytes(pixels) : pixels, shape, form);
    const outputs = model.run(new Map([[port.name, tensor]]));
    const isFeatures = (name: string) => {
      const { dtype, shape: of } = outputs.get(name) ?? {};
      return dtype === 'float32' && of !== undefined && of.length > 1 && of[0] === rows;
    };
    output ??= isFeatures('features') ? 'features' : [...outputs.keys()].find(isFeatures);
    if (output === undefined || !isFeatures(output)) {
      const what = output === undefined ? 'no output with a row of floats an image' : `${output} are none`;
      throw new UsageError(
        `features for kNN: ${what}; accepted of the outputs ${[...outputs.keys()].join(', ')}: float32[batch,...]`,
      );
    }
    const features = outputs.get(output)!.data as Float32Array;
    channels = features.length / rows;
    data ??= new Float32Array(source.length * channels);
    data.set(features.subarray(0, count * channels), start * channels);
  }
  const halves = alternating(source.labels);
  const part = (indices: Uint32Array) => ({
    count: indices.length,
    channels,
    data: Float32Array.from(
      { length: indices.length * channels },
      (_, i) => data![indices[Math.floor(i / channels)]! * channels + (i % channels)]!,
    ),
    labels: Int32Array.from(indices, (index) => source.labels[index]!),
  });
  const [bank, queries] = [part(halves.even), part(halves.odd)];
  if (queries.count === 0)
    throw new UsageError(`kNN of ${source.name}: ${source.length} images; accepted: two of a class or more`);
  options.onProgress?.('kNN');
  const runtime = { provider: 'cpu', threads: 0 } as const;
  const { top1 } = await knnAccuracy(bank, queries, source.classes!.length, defaultKnnSettings, runtime);
  return { knn: top1, output: output!, images: source.length, fingerprint: source.fingerprint };
}

/** Accuracy against the golden one; `drop` are points of 100. */
export function checkAccuracy(
  model: string,
  golden: Pick<MeasuredAccuracy, 'knn'>,
  now: Pick<MeasuredAccuracy, 'knn'>,
  drop: number,
): CheckRow {
  const limit = golden.knn - drop / 100;
  // A share that lost exactly as much as it may is not below because of how it is rounded.
  const status = now.knn >= limit - 1e-9 ? 'passed' : 'failed';
  return checkRow({
    ...{ model, kind: 'accuracy', item: 'knn', status, unit: 'share' },
    golden: golden.knn,
    now: now.knn,
    limit,
  });
}

/** Indices of the images at even and at odd places within their class. */
function alternating(labels: Int32Array): { even: Uint32Array; odd: Uint32Array } {
  const seen = new Map<number, number>();
  const halves: [number[], number[]] = [[], []];
  for (const [index, label] of labels.entries()) {
    const place = seen.get(label) ?? 0;
    seen.set(label, place + 1);
    halves[(place % 2) as 0 | 1].push(index);
  }
  return { even: Uint32Array.from(halves[0]), odd: Uint32Array.from(halves[1]) };
}
