import { join, relative } from 'node:path';
import type { Config } from '../../config/schema.js';
import { shortSide } from '../../data/transform.js';
import { UsageError } from '../../errors.js';
import type { LinearClassifier } from '../../evaluation/linearClassifier.js';
import type { ProbeProtocol } from '../../evaluation/results.js';
import { chosenWidths, openTrainedRun } from '../../evaluation/trainedRun.js';
import { widthLabel } from '../../nn/widthLabel.js';
import { slimmed } from '../../nn/slicing.js';
import { replaceFile } from '../../replaceFile.js';
import { version } from '../../version.js';
import { classifierOf, matchingClassifiers, readImages, withSize, type ExportOptions } from '../exportJob.js';
import { checkBatches } from '../checkBatches.js';
import { plainForm } from '../form.js';
import type { FormOptions } from '../formOptions.js';
import { timeExport, verifyExport } from '../verifyExport.js';
import { artifactFiles, trainingArtifacts } from './artifacts.js';
import type { CheckpointParameter } from './checkpointFile.js';
import { adamwSettings, defaultLearningRate } from './optimizerModel.js';
import { trainableLayers, type TrainableLayers } from './trainableLayers.js';

export interface TrainingExportOptions extends Omit<
  ExportOptions,
  Exclude<keyof FormOptions, 'size' | 'classifier'>
> {
  /** Classes of a new classifier, all weights 0; default: as many as the images of the run have, with their names. */
  readonly classes?: number;
  /** Begin with the classifier of a linear probe instead, and its classes: of this protocol, `true` meaning `features`. */
  readonly classifier?: boolean | ProbeProtocol;
  /** What is trained on the device; default `all`. */
  readonly trainable?: TrainableLayers;
  /**
   * What the learning rate that the API begins with, 0.001, stands for: in a browser nothing else sets it. One that is
   * set there counts in proportion. Default 0.001.
   */
  readonly learningRate?: number;
}

/** What `training.json` of a folder of artifacts says. */
export interface TrainingExport {
  readonly kind: 'training';
  readonly version: 1;
  /** Version of this package. */
  readonly slimclr: string;
  readonly encoder: Config['encoder']['name'];
  readonly method: Config['method']['kind'];
  readonly width: number;
  /** Path of the checkpoint of the run, relative to the run folder, and its SHA-256. */
  readonly checkpoint: string;
  readonly sha256: string;
  readonly trainable: TrainableLayers;
  readonly classes: number;
  /** In the order of the logits; null: they have no names. */
  readonly classNames: readonly string[] | null;
  /**
   * What the models take as `images`: float32 `[batch, C, size, size]`, RGB or as `data.channels` of the run says, `(value - mean) / std` by channel of
   * values scaled to 0 .. 1.
   */
  readonly images: {
    readonly size: number;
    /** What the short side is resized to before the centre is cut out, in pixels. */
    readonly resize: number;
    readonly mean: readonly number[];
    readonly std: readonly number[];
  };
  /** `learningRate` is what the one that the API begins with, 0.001, stands for. */
  readonly optimizer: { readonly kind: 'adamw'; readonly learningRate: number } & typeof adamwSettings;
  /** Elements that are trained, and that are not. */
  readonly parameters: { readonly trained: number; readonly frozen: number };
  readonly bytes: number;
  /** Largest error of features and logits against the training side, as of an exported model; null: not verified. */
  readonly maxRelativeError: number | null;
}

/** A folder of artifacts, relative to the run folder, and what it holds. */
export type ExportedArtifacts = TrainingExport & { readonly folder: string };

/**
 * Exports a run for fine-tuning on devices by onnxruntime-training's on-device API: for each width a folder
 * `<encoder>.<width label>.training` (README.md of src/export), whose features and logits are checked against the
 * training side before it is written.
 * Throws what `exportRun` does, and a UsageError for classes fewer than two, unknown layers and images without classes.
 */
export async function exportTraining(
  runFolder: string,
  options: TrainingExportOptions = {},
): Promise<readonly ExportedArtifacts[]> {
  const { output = join(runFolder, 'export'), verify = true, trainable = 'all', onProgress } = options;
  const { learningRate = defaultLearningRate } = options;
  checkOptions(options);
  const run = await openTrainedRun(runFolder, options.checkpoint);
  const { network, weights } = run;
  const size = options.size === run.config.data.imageSize ? null : (options.size ?? null);
  const config = withSize(run.config, size);
  const widths = chosenWidths(config.widths, options.widths);
  const protocol = options.classifier === true ? 'features' : options.classifier || null;
  const probe = protocol ? await matchingClassifiers(run, protocol) : null;
  // Without both the classes are those of the images.
  const known = probe?.classes ?? options.classes;
  if (!verify && known !== undefined && options.source !== undefined) {
    throw new UsageError(`export: ${options.source} are images to verify on, and nothing is to be verified`);
  }
  const images = verify || known === undefined ? await readImages(config, options) : null;
  const classNames = probe?.classes ?? (known === undefined ? images!.source.classes : null);
  const classes = classNames?.length ?? options.classes;
  if (classes === undefined || classes < 2) {
    const what = probe ? 'the linear probe' : images!.source.name;
    throw new UsageError(
      `${what} has ${classes === undefined ? 'no classes' : 'one class'}; accepted: folders of two classes or more, ` +
        'or a number of classes (--classes)',
    );
  }
  const exported: ExportedArtifacts[] = [];
  for (const width of widths) {
    const label = widthLabel(width);
    onProgress?.(`exporting ${label}`);
    const classifier = probe
      ? classifierOf(probe, label).classifier
      : newClassifier(classes, slimmed(network.encoder.channels, width));
    const subject = {
      network,
      config,
      weights,
      checkpoint: run.sha256,
      width,
      classifier,
      classNames,
      trainable,
      learningRate,
    };
    const { files, trained, frozen, inference } = trainingArtifacts(subject, verify);
    let maxRelativeError: number | null = null;
    if (verify) {
      const checked = { ...subject, form: plainForm };
      ({ maxRelativeError } = await verifyExport(
        { bytes: inference },
        checked,
        width,
        checkBatches(images!.tensor, plainForm, config.data),
        classifier,
        images!.source,
      ));
    } else {
      await timeExport({ bytes: inference }, { config, form: plainForm }, width);
    }
    const { imageSize, mean, std } = config.data;
    const description: TrainingExport = {
      kind: 'training',
      version: 1,
      slimclr: version,
      encoder: config.encoder.name,
      method: config.method.kind,
      width,
      checkpoint: run.checkpoint,
      sha256: run.sha256,
      trainable,
      classes,
      classNames,
      images: { size: imageSize, resize: shortSide(imageSize), mean, std },
      optimizer: { kind: 'adamw', learningRate, ...adamwSettings },
      parameters: { trained: elements(trained), frozen: elements(frozen) },
      bytes: artifactFiles.reduce((sum, name) => sum + files[name].length, 0),
      maxRelativeError,
    };
    const folder = join(output, artifactFolder(config.encoder.name, width, size, trainable));
    for (const name of artifactFiles) await replaceFile(join(folder, name), files[name]);
    const text = `${JSON.stringify(description, null, 2)}\n`;
    await replaceFile(join(folder, 'training.json'), text);
    exported.push({ ...description, folder: relative(runFolder, folder) });
  }
  return exported;
}

/** `<encoder>.<width label>[.s<size>].training`, then `-classifier` or `-stage` where not all layers are trained. */
function artifactFolder(
  encoder: string,
  width: number,
  size: number | null,
  trainable: TrainableLayers,
): string {
  const parts = [encoder, widthLabel(width), ...(size === null ? [] : [`s${size}`])];
  return [...parts, trainable === 'all' ? 'training' : `training-${trainable}`].join('.');
}

function checkOptions(options: TrainingExportOptions): void {
  const { classes, classifier = false, trainable = 'all', learningRate = defaultLearningRate } = options;
  if (!trainableLayers.includes(trainable)) {
    throw new UsageError(
      `export: ${String(trainable)} is nothing to train; accepted: ${trainableLayers.join(', ')}`,
    );
  }
  if (!(learningRate > 0 && learningRate < Infinity)) {
    throw new UsageError(`export: a learning rate of ${learningRate}; accepted: a number > 0`);
  }
  if (classes === undefined) return;
  if (!Number.isInteger(classes) || classes < 2) {
    throw new UsageError(`export: ${classes} classes; accepted: an integer >= 2`);
  }
  if (classifier !== false) {
    throw new UsageError(
      `export: the classifier of a probe has its own classes; accepted: a number of classes (--classes) for a new one, or a probe's (--classifier)`,
    );
  }
}

/** As fine-tuning begins here, too. */
function newClassifier(classes: number, channels: number): LinearClassifier {
  return { classes, channels, weight: new Float32Array(classes * channels), bias: new Float32Array(classes) };
}

function elements(parameters: readonly CheckpointParameter[]): number {
  return parameters.reduce((sum, { values }) => sum + values.length, 0);
}
