import { join } from 'node:path';
import { formatConfig } from '../config/format.js';
import type { Config } from '../config/schema.js';
import { counted } from '../counted.js';
import { withAbsolutePaths } from '../data/absolutePaths.js';
import { openTrainingImages, type TrainingImagesOptions } from '../data/trainingImages.js';
import { UsageError } from '../errors.js';
import { calibrate } from '../evaluation/calibrate.js';
import { progressOf, type Watch } from '../evaluation/runFeatures.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { TensorData } from '../onnx/safetensors.js';
import { replaceFile } from '../replaceFile.js';
import { listCheckpoints, writeCheckpoint } from '../training/checkpoint.js';
import { importedFingerprint } from '../training/resume.js';
import { checkRunFolder } from '../training/runFolder.js';
import { carried } from './carry.js';
import { readModel, type ReadOptions } from './readModel.js';

export interface ImportOptions extends ReadOptions, Watch {
  /** Run folder that is made. */
  readonly output: string;
  /** Images of the run, a data set or a folder: evaluations take them, and batch norm is calibrated on them. */
  readonly source?: string;
  /** Images at most that batch norm is calibrated on; default 1024. */
  readonly calibrationImages?: number;
  readonly cacheDirectory?: string;
}

export interface ImportResult {
  readonly config: Config;
  /** Path of the checkpoint. */
  readonly checkpoint: string;
  /** What was taken and what was not, one line each. */
  readonly lines: readonly string[];
}

/** Images that pass at once where batch norm is calibrated: enough for its statistics, few for memory at 224 pixels. */
const calibrationBatch = 32;

/**
 * Makes a run folder of the weights in a file: of PyTorch's ResNets, of the official SlimCLR's or of a checkpoint of ours.
 * Evaluation, export and `pretrain --init` go on from it. Throws a UsageError for a folder that already holds a run and
 * for narrower widths than the file has without images to calibrate them on, and what `readModel` throws.
 */
export async function importRun(path: string, options: ImportOptions): Promise<ImportResult> {
  const { output, source, signal } = options;
  if ((await listCheckpoints(output)).length > 0) {
    throw new UsageError(`${output} already holds a run; another --output starts a new one`);
  }
  await checkRunFolder(output);
  const set = [
    ...(source === undefined ? [] : [`data.source=${JSON.stringify(source)}`]),
    ...(options.set ?? []),
  ];
  options.onProgress?.(`reading ${path}`);
  const model = await readModel(path, { ...options, set });
  signal?.throwIfAborted();
  const { network } = model;
  const config = withAbsolutePaths(model.config);
  const { tensors, derived, absent } = carried(network, config, model.tensors);
  const lacking = absent.find((name) => name.startsWith('encoder.'));
  if (lacking !== undefined) {
    throw new UsageError(
      `${model.path} has no ${lacking} of the shape that --set wants; accepted: its own encoder`,
    );
  }
  const lines = [summary(model.origin, config), ...headLine(config, tensors, absent)];
  if (derived.length > 0) {
    const images = await calibrated(config, derived, tensors, options, network);
    lines.push(
      `${derived.join(', ')}: the first channels of wider layers, not trained; batch norm calibrated on ${images}`,
    );
  }
  if (model.left.length > 0) lines.push(`left out: ${model.left.join(', ')}`);
  signal?.throwIfAborted();
  await replaceFile(join(output, 'config.json'), formatConfig(config));
  const content = { config, epoch: 0, step: 0, fingerprint: importedFingerprint, tensors };
  const { path: checkpoint } = await writeCheckpoint(output, content, config.checkpoint.keep);
  return { config, checkpoint, lines };
}

/** Puts statistics of the run's images into the batch norms of widths, by their labels; says what images those are. */
async function calibrated(
  config: Config,
  labels: readonly string[],
  tensors: Map<string, TensorData>,
  options: ImportOptions,
  network: Parameters<typeof calibrate>[0],
): Promise<string> {
  const { source, cacheDirectory, calibrationImages = 1024, signal, onNotice, onProgress } = options;
  if (source === undefined) {
    throw new UsageError(
      `the file has no batch norm of ${labels.join(', ')}; accepted: images to calibrate it on (--source), or the ` +
        'widths of the file',
    );
  }
  const sourceOptions: TrainingImagesOptions = {
    limit: calibrationImages,
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  };
  const images = await openTrainingImages(config, sourceOptions);
  for (const line of images.notices) onNotice?.(line);
  const widths = config.widths.filter((width) => labels.includes(widthLabel(width)));
  const report = progressOf(options, `calibrating batch norm of ${labels.join(', ')}`, images.length);
  const small = { ...config, batchSize: calibrationBatch };
  const statistics = await calibrate(network, small, widths, tensors, images, report);
  for (const [name, tensor] of statistics) tensors.set(name, tensor);
  return `${counted(images.length, 'image')} of ${images.name}`;
}

function summary(origin: string, { encoder, widths, data }: Config): string {
  const { name, stem } = encoder;
  return `${name}, ${stem} stem, widths ${widths.join(', ')}, images of ${data.imageSize} pixels, by ${origin}`;
}

/** Whether the run has its head. */
function headLine(
  { method }: Config,
  tensors: ReadonlyMap<string, TensorData>,
  absent: readonly string[],
): string[] {
  const has = [...tensors.keys()].some((name) => !name.startsWith('encoder.'));
  if (!has) return ['without a head'];
  const kept =
    method.kind === 'supervised' ? `a classifier of ${method.classes} classes` : `the head of ${method.kind}`;
  return [`with ${kept}${absent.length > 0 ? `, without ${absent.length} tensors of it` : ''}`];
}
