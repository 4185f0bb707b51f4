import { relative } from 'node:path';
import type { Config } from '../config/schema.js';
import { UsageError } from '../errors.js';
import type { Weights } from '../programs/bindWeights.js';
import { networkOf } from '../methods/index.js';
import type { Network } from '../programs/network.js';
import { checkpointPath, readCheckpoint } from '../training/checkpoint.js';

/** A checkpoint of a run, opened for evaluation or export. */
export interface TrainedRun {
  readonly folder: string;
  readonly config: Config;
  readonly network: Network;
  readonly weights: Weights;
  /** Path of the checkpoint relative to the run folder. */
  readonly checkpoint: string;
  /** SHA-256 of the checkpoint, hexadecimal. */
  readonly sha256: string;
}

/** Opens the newest checkpoint of a run, its `best`, or the one at a path. Errors are those of src/training/checkpoint.ts. */
export async function openTrainedRun(folder: string, checkpoint?: string): Promise<TrainedRun> {
  const path = await checkpointPath(folder, checkpoint);
  const { config, tensors, sha256 } = await readCheckpoint(path);
  return {
    folder,
    config,
    network: networkOf(config),
    weights: tensors,
    checkpoint: relative(folder, path),
    sha256,
  };
}

/** The widths that are asked for, in the config's order; throws a UsageError for one that the run does not have. */
export function chosenWidths(widths: readonly number[], asked: readonly number[] = widths): number[] {
  const unknown = asked.find((width) => !widths.includes(width));
  if (unknown !== undefined || asked.length === 0) {
    const what = unknown === undefined ? 'no width is chosen' : `the run has no width ${unknown}`;
    throw new UsageError(`${what}; accepted: ${widths.join(', ')}`);
  }
  return widths.filter((width) => asked.includes(width));
}
