import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';

interface StepCase {
  readonly preset: string;
  readonly set: readonly string[];
  /** Our median over the best rival's that is to be reached. */
  readonly goal: number;
}

/** What `bench step` measures: a training step of these configs, the optimiser's after one pass over one batch. */
export const stepCases = {
  'resnet50-224': { preset: 'imagenet-resnet50', set: ['batchSize=16', 'accumulation=1'], goal: 0.9 },
  'resnet50-64': {
    preset: 'imagenet-resnet50',
    set: ['data.imageSize=64', 'batchSize=32', 'accumulation=1'],
    goal: 0.8,
  },
  'resnet18-32': { preset: 'cifar10-resnet18', set: ['batchSize=128'], goal: 0.9 },
  'resnet20-32': { preset: 'cifar10-resnet20', set: ['batchSize=256'], goal: 0.8 },
} as const satisfies Record<string, StepCase>;

export type StepCaseName = keyof typeof stepCases;

/** The same for every case: our peak memory over the rival's. */
export const memoryGoal = 0.9;

/** The config of a case; `target` replaces the preset's. Throws UsageError for a target that is unknown. */
export function stepConfig(name: StepCaseName, threads: number, target: string | undefined): Config {
  const { preset, set } = stepCases[name];
  const runtime = [
    `runtime.threads=${threads}`,
    ...(target === undefined ? [] : [`runtime.target=${target}`]),
  ];
  return loadConfig({ preset, set: [...set, ...runtime] });
}
