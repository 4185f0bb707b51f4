import { join } from 'node:path';
import { pixelFormat, type Config } from '../config/schema.js';
import { evaluationBatches } from '../data/evaluationBatches.js';
import { openSource, type ImageSource, type RawImage, type SourceOptions } from '../data/source.js';
import { floats, type EngineSource } from '../engines/hostGraph.js';
import { UsageError } from '../errors.js';
import { readClassifiers, type ProbeClassifiers } from '../evaluation/classifiers.js';
import type { ProbeProtocol } from '../evaluation/results.js';
import { orInstead } from '../evaluation/runImages.js';
import { chosenWidths, openTrainedRun, type TrainedRun } from '../evaluation/trainedRun.js';
import type { Notices } from '../keep.js';
import { needsOf } from '../methods/index.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { TensorData } from '../onnx/safetensors.js';
import {
  exportFamily,
  exportModel,
  type ExportClassifier,
  type ExportedModel,
  type ExportSubject,
} from './exportModel.js';
import { checkBatches, readResizeImages, resizeCheckBatches, type CheckBatch } from './checkBatches.js';
import type { Conversion, ConversionOptions } from './conversion.js';
import { exportForm, type FormOptions } from './formOptions.js';
import { timeExport, verifyExport } from './verifyExport.js';

export interface ExportOptions extends FormOptions, Notices {
  /** Widths to export, as the config has them; default all. */
  readonly widths?: readonly number[];
  /** Folder of the models; default `export` in the run folder. */
  readonly output?: string;
  /** Path of a checkpoint, or `best`: the best by the run's monitor; default: the newest of the run. */
  readonly checkpoint?: string;
  /** How models get a precision other than float32. */
  readonly conversion?: ConversionOptions;
  /** Told what became of each width that was converted. */
  readonly onConversion?: (conversion: Conversion) => void;
  /** Aborting it ends the measurements of a conversion. */
  readonly signal?: AbortSignal;
  /** Check the models against the training side on images; default true. Else their metadata says so. */
  readonly verify?: boolean;
  /** Images to verify on, a data set or a folder; default: those of the run. */
  readonly source?: string;
  readonly cacheDirectory?: string;
  readonly onProgress?: (message: string) => void;
}

/** Images that every exported model is checked on. */
const verificationImages = 32;

/** An export whose options are read: what its models are made of. */
export interface ExportJob {
  readonly run: TrainedRun;
  readonly widths: readonly number[];
  /** Folder of the models. */
  readonly output: string;
  readonly subject: ExportSubject;
  readonly probe: ProbeClassifiers | null;
  /** null: the models are not verified. */
  readonly images: VerificationImages | null;
  /** The models of all widths of the run where they share their weights; null: each is made alone. */
  readonly family: ReadonlyMap<number, ExportedModel> | null;
}

export interface VerificationImages {
  readonly source: ImageSource;
  /** As the encoder gets them: `[n, C, S, S]`. */
  readonly tensor: TensorData;
  /** The first ones as they are decoded, for models that resize them. */
  readonly decoded: readonly RawImage[];
}

/** A model, and what its check and its timing found; `verifyExport`. */
export interface MadeModel extends ExportedModel {
  /** null: not verified. */
  readonly maxRelativeError: number | null;
  readonly latency: number;
}

/** Reads what an export needs. Throws the UsageErrors of `exportRun`. */
export async function openExport(runFolder: string, options: ExportOptions): Promise<ExportJob> {
  const { output = join(runFolder, 'export'), verify = true } = options;
  if (!verify && options.source !== undefined) {
    throw new UsageError(`export: ${options.source} are images to verify on, and nothing is to be verified`);
  }
  const run = await openTrainedRun(runFolder, options.checkpoint);
  const form = exportForm(options, run.config, run.network.encoder);
  const config = withSize(run.config, form.size);
  if (form.head && !needsOf(config).embedding) {
    throw new UsageError(
      `${runFolder}: a ${config.method.kind} run has no embedding; accepted: a run of another method`,
    );
  }
  const widths = chosenWidths(config.widths, options.widths);
  const probe = form.classifier ? await matchingClassifiers(run, form.classifier) : null;
  const images = verify ? await readImages(config, options, form.resize) : null;
  const { network, weights, sha256: checkpoint } = run;
  const { opset } = options;
  const subject = { network, config, weights, checkpoint, form, ...(opset !== undefined && { opset }) };
  const family = form.shared ? await familyOf(subject, probe, verify) : null;
  return { run, widths, output, subject, probe, images, family };
}

/** All widths, whichever are exported: so the file of the weights is the same for them all. */
function familyOf(
  subject: ExportSubject,
  probe: ProbeClassifiers | null,
  verified: boolean,
): Promise<ReadonlyMap<number, ExportedModel>> {
  const classifier = (width: number) => (probe ? classifierOf(probe, widthLabel(width)) : undefined);
  return exportFamily(subject, subject.config.widths, classifier, verified);
}

/** The model of one width, verified where there are images. Throws what `verifyExport` does. */
export async function makeModel(
  { subject, probe, images, family }: ExportJob,
  width: number,
  engine: EngineSource,
): Promise<MadeModel> {
  const scores = probe && classifierOf(probe, widthLabel(width));
  const model =
    family?.get(width) ?? (await exportModel(subject, width, scores ?? undefined, images !== null));
  const found = images
    ? await verifyExport(
        model,
        subject,
        width,
        batchesOf(images, subject),
        scores?.classifier,
        images.source,
        engine,
      )
    : { maxRelativeError: null, latency: await timeExport(model, subject, width, engine) };
  return { ...model, ...found };
}

function batchesOf({ tensor, decoded }: VerificationImages, { form, config }: ExportSubject): CheckBatch[] {
  return form.resize
    ? resizeCheckBatches(decoded, form, config.data)
    : checkBatches(tensor, form, config.data);
}

export function withSize(config: Config, size: number | null): Config {
  if (size === null) return config;
  return { ...config, data: { ...config.data, imageSize: size } };
}

export async function matchingClassifiers(
  { folder, sha256, checkpoint }: TrainedRun,
  protocol: ProbeProtocol,
): Promise<ProbeClassifiers> {
  const probe = await readClassifiers(folder, protocol);
  if (probe.checkpoint === sha256) return probe;
  throw new UsageError(
    `the linear probe in ${folder} was trained on another checkpoint than ${checkpoint}; ` +
      'accepted: a probe of the checkpoint that is exported',
  );
}

export function classifierOf({ classes, classifiers }: ProbeClassifiers, label: string): ExportClassifier {
  const classifier = classifiers.get(label);
  if (!classifier) throw new UsageError(`the linear probe has no classifier of ${label}`);
  return { classifier, classes };
}

/** Images of the run's source or of another one. */
export async function readImages(
  config: Config,
  { cacheDirectory, source: other, onNotice }: ExportOptions,
  decoded = false,
): Promise<VerificationImages> {
  const { data, seed } = config;
  const options: SourceOptions = {
    split: 'test',
    limit: verificationImages,
    seed,
    pixels: pixelFormat(config),
    ...(cacheDirectory !== undefined && { cacheDirectory }),
  };
  const instead = 'other images to verify on (--source), or no verification (--no-verify)';
  const source = await orInstead(other, instead, () => openSource(other ?? data.source, options));
  for (const line of source.notices) onNotice?.(line);
  const { channels, imageSize, mean, std } = data;
  const batches = evaluationBatches(source, { imageSize, mean, std, batchSize: source.length });
  const { value } = await batches.next();
  return {
    source,
    tensor: floats(value!.images, [value!.count, channels, imageSize, imageSize]),
    decoded: decoded ? await readResizeImages(source) : [],
  };
}
