import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { pixelFormat } from '../config/schema.js';
import type { PixelFormat } from '../data/source.js';
import { HostGraph, type EngineSource } from '../engines/hostGraph.js';
import { SlimclrError, UsageError } from '../errors.js';
import { encoderBatchSize, FrozenEncoder, inputShape } from '../evaluation/features.js';
import { chosenWidths, openTrainedRun } from '../evaluation/trainedRun.js';
import { plainForm } from '../export/form.js';
import { exportManifestSchema, manifestFile, type ManifestModel } from '../export/manifest.js';
import { preprocessingOf } from '../export/preprocessing.js';
import { sha256 } from '../onnx/hash.js';
import type { OnnxModel } from '../onnx/model.js';
import { readPlainFile } from '../plainFile.js';
import { parseJson, readJsonIfThere } from '../readJson.js';
import { ModelInput, type InputDescription, type Pixels } from '../web/modelInput.js';

/** What makes features of images of any size. */
export interface ImageEncoder {
  /** What images are to be decoded to. */
  readonly pixels: PixelFormat;
  /** Null where the model does not say. */
  readonly width: number | null;
  /** Images of one call at most. */
  readonly batch: number;
  /** `[n, C]` of n images. */
  features(images: readonly Pixels[]): Promise<Float32Array>;
  close(): Promise<void>;
}

export interface EncoderOptions {
  /** Of a run; default its widest. */
  readonly width?: number;
  /** Path of a checkpoint of a run, or `best`: the best by its monitor; default: the newest. */
  readonly checkpoint?: string;
}

/**
 * The encoder of a run, or the one of a model's file (`.onnx`) with the preprocessing that `manifest.json` beside it or
 * its metadata tell. Throws a UsageError for a model that tells of none, and for options of a run with a model.
 */
export async function openImageEncoder(path: string, options: EncoderOptions = {}): Promise<ImageEncoder> {
  const isFolder = await stat(path).then(
    (status) => status.isDirectory(),
    (cause: Error) => {
      throw new UsageError(`${path}: no such file or folder; accepted: a run, or an exported model`, {
        cause,
      });
    },
  );
  if (isFolder) return openRunEncoder(path, options);
  const [given] = Object.entries(options).find(([, value]) => value !== undefined) ?? [];
  if (given !== undefined) {
    throw new UsageError(`${path} is one model; --${given} is accepted with a run only`);
  }
  return openModelEncoder(path);
}

async function openRunEncoder(folder: string, { width, checkpoint }: EncoderOptions): Promise<ImageEncoder> {
  const { config, network, weights } = await openTrainedRun(folder, checkpoint);
  const { imageSize } = config.data;
  const [chosen] = width === undefined ? [Math.max(...config.widths)] : chosenWidths(config.widths, [width]);
  const input = new ModelInput({
    file: folder,
    inputs: [{ name: 'images', dtype: 'float32', shape: ['batch', ...inputShape(config)] }],
    preprocessing: preprocessingOf(config.data, plainForm),
  });
  const encoder = await FrozenEncoder.open(network, config, chosen!, weights);
  return {
    pixels: pixelFormat(config),
    width: chosen!,
    batch: encoderBatchSize(imageSize),
    features: (images) => encoder.features(input.of(images).data as Float32Array, images.length),
    close: () => encoder.close(),
  };
}

/** Any engine that computes on the processor with all of it. */
const anyEngine: EngineSource = { provider: 'cpu', threads: 0 };

async function openModelEncoder(path: string): Promise<ImageEncoder> {
  const content = await readPlainFile(path);
  const graph = await HostGraph.open(path, anyEngine);
  try {
    const { description, width } = await describe(path, content, graph.model);
    const input = new ModelInput(description);
    const output = featuresOf(path, graph.model);
    return {
      pixels: formatOf(description.preprocessing),
      width,
      // Whole images may be of several sizes.
      batch: input.batch ?? (input.size === null ? 1 : encoderBatchSize(input.size)),
      async features(images) {
        const { [output]: features } = await graph.run({ [input.name]: input.of(images) });
        const { data, shape } = features!;
        return (data as Float32Array).subarray(0, images.length * shape[1]!);
      },
      close: () => graph.close(),
    };
  } catch (error) {
    await graph.close();
    throw error;
  }
}

/** What a model's images are, by their preprocessing. */
function formatOf({ mean, scale }: InputDescription['preprocessing']): PixelFormat {
  return { channels: mean.length, depth: scale < 1 / 255 ? 16 : 8 };
}

async function describe(
  path: string,
  content: Uint8Array,
  model: OnnxModel,
): Promise<{ description: InputDescription; width: number | null }> {
  const inManifest = await manifestEntry(path, content);
  if (inManifest) return { description: { ...inManifest, file: path }, width: inManifest.width };
  const { depth, imageSize, mean, std, width } = model.metadata;
  if (imageSize === undefined || mean === undefined || std === undefined) {
    throw new UsageError(
      `${path}: nothing tells how images are put before it (no ${manifestFile} beside it, no metadata of ours); ` +
        'accepted: a model that `slimclr export` wrote',
    );
  }
  const statistics = z.array(z.number()).min(1);
  const means = parseJson(mean, statistics, `${path}, mean`);
  const data = {
    channels: means.length,
    depth: depth === '16' ? 16 : 8,
    imageSize: parseJson(imageSize, z.int().min(1), `${path}, imageSize`),
    mean: means,
    std: parseJson(std, statistics, `${path}, std`),
  } as const;
  const inputs = model.inputs.map(({ name, type }) => ({ name, ...type }));
  const bytes = inputs[0]?.dtype === 'uint8';
  const form = {
    input: bytes ? 'uint8-nhwc' : 'float32-nchw',
    resize: typeof inputs[0]?.shape[bytes ? 1 : 2] === 'string',
  } as const;
  const preprocessing = preprocessingOf(data, form);
  return {
    description: { file: path, inputs, preprocessing },
    width: width === undefined ? null : Number(width),
  };
}

/** What the manifest beside a model says of it; null where there is none, or it says nothing of it. */
async function manifestEntry(path: string, content: Uint8Array): Promise<ManifestModel | null> {
  const place = join(dirname(path), manifestFile);
  const manifest = await readJsonIfThere(place, exportManifestSchema);
  const entry = manifest?.models.find(({ file }) => file === basename(path));
  if (!entry) return null;
  if (entry.sha256 === sha256(content)) return entry;
  throw new SlimclrError(`${path} is another file than ${place} says; accepted: files of one export`);
}

/** The output to take: `features`, or the only one with a vector for each image. */
function featuresOf(path: string, { outputs }: OnnxModel): string {
  const vectors = outputs.filter(({ type }) => type.dtype === 'float32' && type.shape.length === 2);
  const named =
    vectors.find(({ name }) => name === 'features') ?? (vectors.length === 1 ? vectors[0] : undefined);
  if (named) return named.name;
  const names = outputs.map(({ name }) => name).join(', ');
  throw new UsageError(
    `${path} has the outputs ${names}; accepted: a model with \`features\`, [batch, C] of float32`,
  );
}
