import { alone, type ReplicaGroup } from '../../distributed/replicaGroup.js';
import type { Config } from '../../config/schema.js';
import type { Manifest } from '../../programs/manifest.js';
import type { TrainingState } from '../state.js';
import { MethodStep } from './methodStep.js';
import { ReplicatedStep } from './replicatedStep.js';
import type { Step } from './step.js';

/**
 * Opens the step of a config over the programs of a folder. Replicas begin from `state` as it is now and move theirs
 * by themselves: nothing but the step may change it from here on. With a group of several this is one of them, which has
 * its part of each step's batches.
 */
export function openStep(
  folder: string,
  manifest: Manifest,
  config: Config,
  state: TrainingState,
  {
    traceFolder,
    group = alone,
  }: { readonly traceFolder?: string | undefined; readonly group?: ReplicaGroup } = {},
): Promise<Step> {
  return group.size === 1 && config.runtime.replicas > 1
    ? ReplicatedStep.open(folder, manifest, config, state, traceFolder)
    : MethodStep.open(folder, manifest, config, state, { traceFolder, group });
}
