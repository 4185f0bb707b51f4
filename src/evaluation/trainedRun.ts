import { relative } from 'node:path';
import type { Config } from '../config/schema.js';
import { sha256File } from '../onnx/hash.js';
import type { Weights } from '../programs/bindWeights.js';
import { Network } from '../programs/network.js';
import { latestCheckpoint, readCheckpoint } from '../training/checkpoint.js';

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

/** Opens the newest checkpoint of a run, or the one at a path. Errors are those of src/training/checkpoint.ts. */
export async function openTrainedRun(folder: string, checkpoint?: string): Promise<TrainedRun> {
  const path = checkpoint ?? (await latestCheckpoint(folder)).path;
  const { config, tensors } = await readCheckpoint(path);
  return {
    folder,
    config,
    network: new Network(config),
    weights: tensors,
    checkpoint: relative(folder, path),
    sha256: await sha256File(path),
  };
}
