import type { Config } from '../config/schema.js';
import { absoluteSource } from '../data/absolutePaths.js';
import { datasetNames } from '../data/dataset.js';
import { openSource, type ImageSource, type SourceOptions } from '../data/source.js';
import { UsageError } from '../errors.js';
import type { Notices } from '../keep.js';
import { openRunImages } from './runImages.js';

export interface LabelledImages {
  readonly train: LabelledSource;
  readonly test: LabelledSource;
  readonly classes: readonly string[];
}

export type LabelledSource = ImageSource & { readonly labels: Int32Array };

export interface LabelledImagesOptions
  extends Pick<SourceOptions, 'cacheDirectory' | 'offline' | 'onProgress' | 'signal'>, Notices {
  /** Where the labelled images come from; default: the images of the run. */
  readonly source?: string;
  /** At most this many training images; default: the run's limit for the images of the run, else all (0). */
  readonly limit?: number;
  /** Where the test images come from; default: the test split of a named data set. A folder has none. */
  readonly testSource?: string;
  /** At most this many test images; default all (0). */
  readonly testLimit?: number;
}

/**
 * Training and test images for an evaluation with labels.
 * @throws UsageError for images without labels, for a folder without a folder of test images, and where the classes of the two differ.
 */
export async function openLabelledImages(
  { data, seed }: Config,
  options: LabelledImagesOptions,
): Promise<LabelledImages> {
  const {
    source = data.source,
    testLimit = 0,
    cacheDirectory,
    offline = false,
    onProgress,
    signal,
  } = options;
  const areOfRun = absoluteSource(source) === absoluteSource(data.source);
  const { limit = areOfRun ? data.limit : 0, testSource = source } = options;
  if (absoluteSource(testSource) === absoluteSource(source) && !datasetNames.includes(source)) {
    throw new UsageError(
      `evaluation of ${source}: a folder has no test images of its own; accepted: another folder of them, ` +
        'with the same classes',
    );
  }
  const common = {
    seed,
    offline,
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
  };
  const trainOptions = { ...common, split: 'train', limit } as const;
  const train = labelled(
    await openRunImages(data.source, options.source, trainOptions, 'other labelled images (--source)'),
  );
  const test = labelled(await openSource(testSource, { ...common, split: 'test', limit: testLimit }));
  for (const line of new Set([...train.notices, ...test.notices])) options.onNotice?.(line);
  const [classes, testClasses] = [train.classes!, test.classes!];
  if (classes.join('\0') !== testClasses.join('\0')) {
    throw new UsageError(
      `the classes of ${testSource} (${testClasses.join(', ')}) are not those of ${source} (${classes.join(', ')})`,
    );
  }
  return { train, test, classes };
}

/** The source, which has labels; throws a UsageError, of the evaluation that `what` names, when it has none. */
export function labelled(source: ImageSource, what = 'evaluation'): LabelledSource {
  if (!source.labels || !source.classes) {
    throw new UsageError(
      `${what} of ${source.name}: its images have no labels; accepted: ${datasetNames.join(', ')} or a ` +
        'folder with one folder of images a class',
    );
  }
  return source as LabelledSource;
}
