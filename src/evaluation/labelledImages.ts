import { pixelFormat, type Config } from '../config/schema.js';
import { absoluteSource } from '../data/absolutePaths.js';
import { datasetNames } from '../data/dataset.js';
import {
  openSource,
  relabelled,
  select,
  subset,
  type ImageSource,
  type SourceOptions,
} from '../data/source.js';
import { withFileLabels } from '../data/trainingImages.js';
import { UsageError } from '../errors.js';
import type { Notices } from '../keep.js';
import { openRunImages } from './runImages.js';

export interface LabelledImages {
  readonly train: LabelledSource;
  readonly test: LabelledSource;
  readonly classes: readonly string[];
  /** There where the test images are those that the run holds out of training. */
  readonly heldOut?: true;
}

export type LabelledSource = ImageSource & { readonly labels: Int32Array };

export interface LabelledImagesOptions
  extends Pick<SourceOptions, 'cacheDirectory' | 'offline' | 'onProgress' | 'signal'>, Notices {
  /** Where the labelled images come from; default: the images of the run. */
  readonly source?: string;
  /** Label file of the images at `source`; default: that of the run, where they are its images. */
  readonly sourceLabels?: string;
  /** At most this many training images; default: the run's limit for the images of the run, else all (0). */
  readonly limit?: number;
  /**
   * Where the test images come from; default: the test split of a named data set; of a folder the images that
   * `data.validation` of the run holds out.
   */
  readonly testSource?: string;
  /** Classify what `data.validation` of the run holds out, of a named data set too; not together with `testSource`. */
  readonly heldOut?: boolean;
  /** Label file of the images at `testSource`. */
  readonly testLabels?: string;
  /** At most this many test images; default all (0). */
  readonly testLimit?: number;
}

/**
 * Training and test images for an evaluation with labels; those that a run holds out are never among the training images.
 * @throws UsageError for images without labels, for a folder without test images, and for classes of the test images that
 * the training images do not have.
 */
export async function openLabelledImages(
  config: Config,
  options: LabelledImagesOptions,
): Promise<LabelledImages> {
  const { data, seed } = config;
  const {
    source = data.source,
    testLimit = 0,
    cacheDirectory,
    offline = false,
    onProgress,
    signal,
  } = options;
  const { sourceLabels, testLabels } = options;
  const areOfRun = absoluteSource(source) === absoluteSource(data.source);
  const { limit = areOfRun ? data.limit : 0, testSource = source } = options;
  const isNamed = datasetNames.includes(source);
  if (options.heldOut) {
    const holdsOut = data.validation > 0 && (areOfRun || !isNamed);
    if (!holdsOut || options.testSource !== undefined) {
      throw new UsageError(
        `held-out images of ${source} are asked for, and ` +
          (holdsOut ? `test images of ${options.testSource}` : 'the run holds none out (data.validation)') +
          '; accepted: either held-out images or a test source',
      );
    }
  }
  const isHeldOut = options.heldOut || (absoluteSource(testSource) === absoluteSource(source) && !isNamed);
  if (isHeldOut && data.validation === 0) {
    throw new UsageError(
      `evaluation of ${source}: a folder has no test images of its own; accepted: another folder of them, ` +
        'with the same classes (--test-source), or a run with data.validation, which holds some out',
    );
  }
  const common = {
    offline,
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
  };
  const opened = await openRunImages(
    config,
    {
      ...common,
      limit,
      labelledOnly: true,
      ...(options.source !== undefined && { source: options.source }),
      ...(sourceLabels !== undefined && { labels: sourceLabels }),
    },
    'other labelled images (--source)',
  );
  const train = labelled(opened);
  const test = isHeldOut
    ? limited(labelled(opened.heldOut!), testLimit, seed)
    : await openLabelledSource(testSource, testLabels, {
        ...common,
        split: 'test',
        limit: testLimit,
        seed,
        pixels: pixelFormat(config),
      });
  for (const line of new Set([...train.notices, ...test.notices])) options.onNotice?.(line);
  return {
    train,
    test: classedAs(train, test),
    classes: train.classes!,
    ...(isHeldOut && { heldOut: true }),
  };
}

/** The images of a source that have labels: those of `labelFile`, or its own. Errors are those of `labelled` for `what`. */
export async function openLabelledSource(
  source: string,
  labelFile: string | undefined,
  options: SourceOptions,
  what?: string,
): Promise<LabelledSource> {
  if (labelFile === undefined) return labelled(await openSource(source, options), what);
  const { limit = 0, seed = 0 } = options;
  const all = await openSource(source, { ...options, limit: 0 });
  const own = { isMeant: true, isWhole: true, byLabel: true };
  return limited(labelled(await withFileLabels(all, labelFile, own), what), limit, seed);
}

/** At most `limit` images, chosen by the seed; 0: all. */
function limited(source: LabelledSource, limit: number, seed: number): LabelledSource {
  if (limit === 0 || limit >= source.length) return source;
  return labelled(subset(source, select(source.length, limit, seed)));
}

/** The test images with their labels as indices into the classes of the training images. */
function classedAs(train: LabelledSource, test: LabelledSource): LabelledSource {
  const [classes, testClasses] = [train.classes!, test.classes!];
  if (classes.join('\0') === testClasses.join('\0')) return test;
  const indices = new Map(classes.map((name, index) => [name, index]));
  if (!testClasses.every((name) => indices.has(name))) {
    throw new UsageError(
      `the classes of ${test.name} (${testClasses.join(', ')}) are not those of ${train.name} (${classes.join(', ')})`,
    );
  }
  return relabelled(
    test,
    test.labels.map((label) => indices.get(testClasses[label]!)!),
    classes,
  );
}

/**
 * The images of a source that have labels, each once, whatever its weight in training; throws a UsageError, of the
 * evaluation that `what` names, when none has.
 */
export function labelled(whole: ImageSource, what = 'evaluation'): LabelledSource {
  const { weights: _, ...source } = whole;
  const { labels, classes, store } = source;
  if (!labels || !classes) {
    throw new UsageError(
      `${what} of ${source.name}: its images have no labels; accepted: ${datasetNames.join(', ')}, a ` +
        'folder with one folder of images a class, or a label file (data.labels)',
    );
  }
  const indices = Uint32Array.from(labels.keys()).filter((index) => labels[index]! >= 0);
  const known = indices.length === labels.length ? source : subset(source, indices);
  // What stands in for a damaged image is of its class.
  const isBound = store.labels === labels;
  return isBound && known.labels ? (known as LabelledSource) : relabelled(known, known.labels!, classes);
}
