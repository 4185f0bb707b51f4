import { diffConfigs, type ConfigDifference } from '../config/format.js';
import type { Config } from '../config/schema.js';
import { withAbsolutePaths } from '../data/absolutePaths.js';
import { isOfContent } from '../data/imageFolder.js';
import type { ImageSource } from '../data/source.js';
import { UsageError } from '../errors.js';
import type { CheckpointInfo } from './checkpoint.js';

/** Keys that may differ between the parts of one run: they do not change any number of a run that was begun. */
const free = /^(data\.workers$|checkpoint\.|runtime\.tune$|monitor\.|diagnostics\.|tensorboard$)/;

/** The keys in which two configs differ that change the numbers of a run. */
export function trainingDifferences(a: Config, b: Config): ConfigDifference[] {
  return diffConfigs(a, b).filter(({ path }) => !free.test(path));
}

/** Differences of a config that is kept `there` from the one in use, in one line. */
export function listDifferences(differences: readonly ConfigDifference[]): string {
  return differences
    .map(({ path, a, b }) => `${path} is ${JSON.stringify(a)} there, ${JSON.stringify(b)} here`)
    .join('; ');
}

/** What changes when a run goes on with other threads; undefined when it does not: sums are split among them. */
export function threadsNotice(saved: Config, config: Config): string | undefined {
  const [before, now] = [saved.runtime.threads, config.runtime.threads];
  if (before === now) return undefined;
  return (
    `runtime.threads is ${now}, ${before} at the checkpoint: from here on the numbers differ in their last bits ` +
    'from those of a run that was not interrupted'
  );
}

/** What identifies the images of a source. */
export type ImageIdentity = Pick<ImageSource, 'fingerprint' | 'earlierFingerprint'>;

/**
 * Of another machine or another share of it: `threadsNotice` tells of threads, the fingerprint whether images are the
 * same.
 */
const ofTheMachine = [
  'data.source',
  'runtime.python',
  'runtime.threads',
  'runtime.library',
  'runtime.cuda.device',
  'runtime.cuda.memoryLimit',
];

/**
 * Refuses a checkpoint that this config and these images would not have led to. The images may be at another place:
 * their fingerprint says that they are the same.
 */
export function checkResumable(
  path: string,
  saved: CheckpointInfo,
  config: Config,
  { fingerprint, earlierFingerprint }: ImageIdentity,
): void {
  // Checkpoints made before may hold a relative path of a teacher.
  const differences = trainingDifferences(withAbsolutePaths(saved.config), withAbsolutePaths(config)).filter(
    ({ path }) => !ofTheMachine.includes(path),
  );
  if (differences.length > 0) {
    throw new UsageError(`${path}: the checkpoint is of another config: ${listDifferences(differences)}`);
  }
  if (saved.fingerprint === fingerprint || saved.fingerprint === earlierFingerprint) return;
  if (config.data.limit > 0 && !isOfContent(saved.fingerprint) && isOfContent(fingerprint)) {
    throw new UsageError(
      `${path}: the checkpoint is of an earlier version, which identified a folder's images by their names and sizes; ` +
        'with data.limit it cannot be told whether they are the same; accepted: the version that wrote it',
    );
  }
  throw new UsageError(
    `${path}: the checkpoint was trained on other images (${saved.fingerprint.slice(0, 12)}...) than ` +
      `${config.data.source} holds now (${fingerprint.slice(0, 12)}...)`,
  );
}
