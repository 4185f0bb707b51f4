import { diffConfigs, type ConfigDifference } from '../config/format.js';
import type { Config } from '../config/schema.js';
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

/** Refuses a checkpoint that this config and these images would not have led to. */
export function checkResumable(
  path: string,
  saved: CheckpointInfo,
  config: Config,
  fingerprint: string,
): void {
  const differences = trainingDifferences(saved.config, config);
  if (differences.length > 0) {
    throw new UsageError(`${path}: the checkpoint is of another config: ${listDifferences(differences)}`);
  }
  if (saved.fingerprint !== fingerprint) {
    throw new UsageError(
      `${path}: the checkpoint was trained on other images (${saved.fingerprint.slice(0, 12)}...) than ` +
        `${config.data.source} holds now (${fingerprint.slice(0, 12)}...)`,
    );
  }
}
