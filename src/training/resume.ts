import { diffConfigs } from '../config/format.js';
import type { Config } from '../config/schema.js';
import { UsageError } from '../errors.js';
import type { CheckpointInfo } from './checkpoint.js';

/** Keys that may differ between the parts of one run: they do not change any number of a run that was begun. */
const free = /^(data\.workers$|checkpoint\.|runtime\.tune$)/;

/** Refuses a checkpoint that this config and these images would not have led to. */
export function checkResumable(
  path: string,
  saved: CheckpointInfo,
  config: Config,
  fingerprint: string,
): void {
  const differences = diffConfigs(saved.config, config).filter((difference) => !free.test(difference.path));
  if (differences.length > 0) {
    const list = differences.map(
      (d) => `${d.path} is ${JSON.stringify(d.a)} there, ${JSON.stringify(d.b)} here`,
    );
    throw new UsageError(`${path}: the checkpoint is of another config: ${list.join('; ')}`);
  }
  if (saved.fingerprint !== fingerprint) {
    throw new UsageError(
      `${path}: the checkpoint was trained on other images (${saved.fingerprint.slice(0, 12)}...) than ` +
        `${config.data.source} holds now (${fingerprint.slice(0, 12)}...)`,
    );
  }
}
