import { pixelFormat, type Config } from '../config/schema.js';
import { counted } from '../counted.js';
import { UsageError } from '../errors.js';
import { needsOf } from '../methods/index.js';
import { absoluteSource } from './absolutePaths.js';
import { datasetNames } from './dataset.js';
import { labelsOf, noneLabelled } from './fileLabels.js';
import { hashLines } from './hashLines.js';
import { readLabelFile } from './labelFile.js';
import { openSource, relabelled, select, subset, type ImageSource, type SourceOptions } from './source.js';
import { heldOutImages } from './validationSplit.js';

/** The images that a config trains on. */
export interface TrainingImages extends ImageSource {
  /** Those that `data.validation` keeps from training; null: none. */
  readonly heldOut: ImageSource | null;
}

export interface TrainingImagesOptions extends Omit<SourceOptions, 'split' | 'seed' | 'pixels'> {
  /** The images at another place, or other ones in their stead; default: those of the config. */
  readonly source?: string;
  /** At most this many images to train on; default: `data.limit`. */
  readonly limit?: number;
  /** Label file of these images; default: `data.labels`, where at least half of what it names is among them. */
  readonly labels?: string;
  /** Whether images without a label are left out; default: where the method trains with labels. */
  readonly labelledOnly?: boolean;
}

/**
 * Opens the images that a config trains on, with the labels that `data.labels` gives them, and those that
 * `data.validation` keeps from training: chosen among all, then `limit` among the others. Throws what `openSource`,
 * `readLabelFile` and `heldOutImages` do, and a UsageError for a label file that names none of the config's images.
 */
export async function openTrainingImages(
  config: Config,
  { source: other, limit, labels: otherLabels, labelledOnly, ...others }: TrainingImagesOptions = {},
): Promise<TrainingImages> {
  const { data, seed } = config;
  const options = { ...others, pixels: pixelFormat(config) };
  const name = other ?? data.source;
  // A data set that is not the run's is split and labelled already.
  const areOfConfig = absoluteSource(name) === absoluteSource(data.source);
  const isSplit = areOfConfig || !datasetNames.includes(name);
  const validation = isSplit ? data.validation : 0;
  const file = otherLabels ?? (isSplit ? data.labels : '');
  const most = limit ?? data.limit;
  if (validation === 0 && file === '') {
    return { ...(await openSource(name, { ...options, limit: most, seed })), heldOut: null };
  }
  const byLabel = needsOf(config).classes !== null;
  const dropsUnlabelled = labelledOnly ?? byLabel;
  // A limit among all images chooses before they are opened.
  const limitsAll = validation === 0 && !dropsUnlabelled;
  let whole = await openSource(name, { ...options, limit: limitsAll ? most : 0, seed });
  if (file !== '') {
    const isMeant = areOfConfig || otherLabels !== undefined;
    const isWhole = !limitsAll || most === 0;
    whole = await withFileLabels(whole, file, { isMeant, isWhole, byLabel });
  }
  const { length, labels } = whole;
  const held = validation === 0 ? [] : heldOutImages(whole, validation, seed);
  const isHeld = new Set(held);
  const kept = Uint32Array.from({ length }, (_, index) => index).filter(
    (index) => !isHeld.has(index) && !(dropsUnlabelled && labels && labels[index]! < 0),
  );
  const chosen = limitsAll ? kept : select(kept.length, most, seed).map((position) => kept[position]!);
  const train = chosen.length === length ? whole : subset(whole, chosen);
  if (validation === 0) return { ...train, heldOut: null };
  const line = `${whole.name}: ${held.length} of ${counted(length, 'image')} held out of training (data.validation)`;
  const heldOut = subset(whole, Uint32Array.from(held));
  return { ...train, notices: [...train.notices, line], heldOut };
}

export interface LabellingOptions {
  /** Whether the file is meant for these images; else their own labels stay where it names mostly others. */
  readonly isMeant: boolean;
  /** Whether the source has all images of its place. */
  readonly isWhole: boolean;
  /** Whether the labels are part of what identifies the images, and say what may stand in for a damaged one. */
  readonly byLabel: boolean;
}

/** The source with the labels of a file. Throws what `readLabelFile` does, and a UsageError where no image has one. */
export async function withFileLabels(
  source: ImageSource,
  path: string,
  { isMeant, isWhole, byLabel }: LabellingOptions,
): Promise<ImageSource> {
  if (datasetNames.includes(source.name)) {
    throw new UsageError(
      `data.labels is ${path}, and the images of ${source.name} have labels of their own; accepted: none, or a folder as data.source`,
    );
  }
  const file = await readLabelFile(path);
  const labelled = labelsOf(source, file, { isWhole });
  if (isMeant && !labelled) throw noneLabelled(source, file);
  if (!labelled || (!isMeant && labelled.found < 0.5)) return source;
  const { labels, classes } = labelled;
  const notices = [...source.notices, ...labelled.notices];
  // Else a label that is added or corrected leaves an unsupervised run as it is, bit by bit.
  if (!byLabel) return { ...source, labels, classes, notices };
  const fingerprint = hashLines([source.fingerprint, 'labels', ...classes, labels.join(',')]);
  return { ...relabelled(source, labels, classes), fingerprint, earlierFingerprint: null, notices };
}
