import { diffConfigs, type ConfigDifference } from '../config/format.js';
import { shufflesKeys } from '../config/methods.js';
import type { Config } from '../config/schema.js';
import { withAbsolutePaths } from '../data/absolutePaths.js';
import { isOfContent } from '../data/imageFolder.js';
import type { ImageSource } from '../data/source.js';
import { UsageError } from '../errors.js';
import type { CheckpointInfo } from './checkpoint.js';
import { scheduleKeys } from './continuedSchedule.js';

/** Keys that may differ between the parts of one run: they do not change any number of a run that was begun. */
const free =
  /^(data\.workers$|checkpoint\.|runtime\.(tune|mpi|mpiLibrary|stepTimeout)$|monitor\.|diagnostics\.|tensorboard$)/;

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

/** What changes when a run goes on with other threads or replicas, among which sums are split; undefined with the same. */
export function machineNotice(saved: Config, config: Config): string | undefined {
  const changed = (['threads', 'replicas'] as const)
    .map((key) => ({ key, before: saved.runtime[key], now: config.runtime[key] }))
    .filter(({ before, now }) => before !== now)
    .map(({ key, before, now }) => `runtime.${key} is ${now}, ${before} at the checkpoint`);
  if (changed.length === 0) return undefined;
  const [before, now] = [saved, config].map(({ method, runtime }) => shufflesKeys(method, runtime.replicas));
  const keys = now ? 'keys are shuffled' : 'keys are shuffled no longer';
  return (
    `${changed.join(', ')}: from here on the numbers differ in their last bits ` +
    `from those of a run that was not interrupted${before === now ? '' : `, and ${keys} (method.shuffleKeys)`}`
  );
}

/** In place of the identity of training images: of a checkpoint of `slimclr import`, which no training here has led to. */
export const importedFingerprint = 'imported';

/** What identifies the images of a source. */
export type ImageIdentity = Pick<ImageSource, 'fingerprint' | 'earlierFingerprint'>;

/**
 * Of another machine or another share of it: `machineNotice` tells of threads and replicas, the fingerprint whether images are the
 * same.
 */
const ofTheMachine = [
  'data.source',
  'data.labels',
  'runtime.python',
  'runtime.threads',
  'runtime.replicas',
  'runtime.library',
  'runtime.cuda.device',
  'runtime.cuda.memoryLimit',
];

/**
 * Refuses a checkpoint that this config and these images would not have led to. The images may be at another place:
 * their fingerprint says that they are the same. Epochs and schedule may be others from here on (`continuedConfig`).
 */
export function checkResumable(
  path: string,
  saved: CheckpointInfo,
  config: Config,
  { fingerprint, earlierFingerprint }: ImageIdentity,
): void {
  if (saved.fingerprint === importedFingerprint) {
    throw new UsageError(
      `${path} holds imported weights and nothing to resume; accepted: a new run that begins with them, by --init ${path}`,
    );
  }
  // Checkpoints made before may hold a relative path of a teacher.
  const differences = trainingDifferences(withAbsolutePaths(saved.config), withAbsolutePaths(config)).filter(
    ({ path, a, b }) => {
      if (path === 'init.file') return a === '' || b === '';
      // Any file: the run goes on from what has become of its own.
      if (path === 'init.sha256') return b !== '' || config.init.file === '';
      return !ofTheMachine.includes(path) && !scheduleKeys.test(path);
    },
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
      `${config.data.source} holds now (${fingerprint.slice(0, 12)}...)${splitHint(config)}`,
  );
}

/** What else than the images makes other ones of them. */
function splitHint({ data }: Config): string {
  const { validation, labels } = data;
  if (labels === '') return validation === 0 ? '' : ', or data.validation chooses others among them';
  return `, or the labels in ${labels} have changed${validation === 0 ? '' : ', by which data.validation chooses'}`;
}
