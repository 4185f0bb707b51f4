import { basename, join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../errors.js';
import { probeProtocols } from '../evaluation/results.js';
import { elementTypes } from '../onnx/model.js';
import { plainNameSchema } from '../plainFile.js';
import { readJsonIfThere, sha256Schema, type Json } from '../readJson.js';
import { replaceFile } from '../replaceFile.js';
import { inputForms, precisions } from './form.js';
import { calibrationMethods } from '../quantization/calibrationMethods.js';
import { activationTypes } from '../quantization/scales.js';
import { preprocessingSchema } from './preprocessing.js';

/** The file of an export folder that describes its models. */
export const manifestFile = 'manifest.json';

const count = z.int().min(0);
const share = z.number().min(0).max(1);

const valueSchema = z.object({
  name: z.string(),
  dtype: z.enum(elementTypes),
  /** A string is a dimension of any size, such as `batch`. */
  shape: z.array(z.union([count, z.string()])),
});

const weightsFileSchema = z.object({ file: plainNameSchema, bytes: count, sha256: sha256Schema });

/** Shares of test images whose class is the first one or among the first five. */
const measuredAccuracy = {
  top1: share,
  top5: share,
  /** The test images. */
  source: z.string(),
  images: count,
  /** There where they are those that the run holds out of training (`data.validation`). */
  heldOut: z.literal(true).exactOptional(),
};

const latencySchema = z.object({
  /** Median of one run. */
  milliseconds: z.number().min(0),
  /** Images of a run. */
  batch: count,
  provider: z.string(),
  threads: count,
  /** The processor's name. */
  machine: z.string(),
});

/** How a model got its precision, other than float32, and what that cost. */
const conversionSchema = z.object({
  /** Mean, of the features of calibration images with those of the float32 model. */
  cosine: z.number(),
  /** Calibration images, and where they come from. */
  images: count,
  source: z.string(),
  /** Of int8 models; null: of others. */
  quantization: z
    .object({
      activations: z.enum(activationTypes),
      calibration: z.enum(calibrationMethods),
      /** Convolutions and matrix products. */
      layers: count,
      /** Names of those that stay in float32. */
      float: z.array(z.string()),
    })
    .nullable(),
  /** The float32 model, measured beside it; accuracies are shares of the same test images, null: not measured. */
  float32: z.object({
    bytes: count,
    milliseconds: z.number().min(0),
    knn: share.nullable(),
    probe: share.nullable(),
  }),
});

export const manifestModelSchema = z.object({
  /** A file of the manifest's folder. */
  file: plainNameSchema,
  bytes: count,
  sha256: sha256Schema,
  /** The file that holds weights outside of it, which several models may share; null: it is whole. */
  externalData: weightsFileSchema.nullable(),
  encoder: z.string(),
  method: z.string(),
  /** SHA-256 of the checkpoint that it is of. */
  checkpoint: sha256Schema,
  width: z.number().gt(0).max(1),
  label: z.string(),
  /** What the weights and most of the arithmetic are in. */
  precision: z.enum(precisions),
  /** What it takes: normalised floats `[N, 3, S, S]`, or bytes `[N, H, W, 3]`. */
  input: z.enum(inputForms),
  /** Whether it resizes and crops images of any size itself. */
  resize: z.boolean(),
  /** Images of a run; null: any number. */
  batch: count.nullable(),
  /** Feature maps that it gives besides, such as `layer2`. */
  maps: z.array(z.string()),
  /** Side of the images that it takes in pixels; null: data.imageSize of the run. */
  size: count.nullable(),
  /** Whether it has the output `embedding`. */
  head: z.boolean(),
  /** Protocol of the linear probe whose scores it has as `logits`; null: none. */
  classifier: z.enum(probeProtocols).nullable(),
  /** In the order of `logits`; null: it has none. */
  classes: z.array(z.string()).nullable(),
  opset: count,
  irVersion: count,
  inputs: z.array(valueSchema),
  outputs: z.array(valueSchema),
  preprocessing: preprocessingSchema,
  /** Trained elements, as papers count. */
  parameters: count,
  /** Of one image. */
  multiplyAdds: z.number().min(0),
  latency: latencySchema.nullable(),
  /** Of this width and checkpoint, for these preprocessing and precision; null: not known. */
  accuracy: z.object({
    knn: z.object({ ...measuredAccuracy, k: count, temperature: z.number() }).nullable(),
    probe: z.object({ ...measuredAccuracy, protocol: z.enum(probeProtocols) }).nullable(),
  }),
  /** Largest |exported - training side| over the largest |training side| of an output; null: not verified. */
  maxRelativeError: z.number().nullable(),
  /** Absent for float32. */
  conversion: conversionSchema.exactOptional(),
});

const manifestRunSchema = z.object({
  /** Name of the run folder. */
  name: z.string(),
  encoder: z.string(),
  method: z.string(),
  checkpoint: sha256Schema,
});

/** `manifest.json` of a folder of exported models. */
export const exportManifestSchema = z.object({
  kind: z.literal('slimclr-export'),
  version: z.literal(1),
  /** Version of this package that wrote it. */
  slimclr: z.string(),
  /** The run that was exported last; each model names its own encoder, method and checkpoint. */
  run: manifestRunSchema,
  models: z.array(manifestModelSchema),
});

/**
 * `manifest.json` of a folder of exported models.
 * @interface
 */
export type ExportManifest = Json<typeof exportManifestSchema>;
/**
 * What a manifest tells of one model.
 * @interface
 */
export type ManifestModel = Json<typeof manifestModelSchema>;
/**
 * What a manifest tells of a run.
 * @interface
 */
export type ManifestRun = Json<typeof manifestRunSchema>;

/**
 * Reads the manifest of a folder of exported models, which `path` is, or the manifest itself. Throws a UsageError
 * where there is none, a SlimclrError, one line, for one that is damaged or of another version.
 */
export async function readExportManifest(path: string): Promise<ExportManifest> {
  const file = basename(path) === manifestFile ? path : join(path, manifestFile);
  const manifest = await readJsonIfThere(file, exportManifestSchema);
  if (manifest) return manifest;
  throw new UsageError(`${path}: no exported models (there is no ${manifestFile}); accepted: a folder that \`slimclr export\` wrote`); // prettier-ignore
}

/** Writes the manifest of a folder, its models widest first, then by name. */
export async function writeExportManifest(folder: string, manifest: ExportManifest): Promise<void> {
  const models = [...manifest.models].sort((a, b) => b.width - a.width || (a.file < b.file ? -1 : 1));
  const text = `${JSON.stringify({ ...manifest, models }, null, 2)}\n`;
  await replaceFile(join(folder, manifestFile), text);
}
