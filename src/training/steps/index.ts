import { join } from 'node:path';
import type { Config } from '../../config/schema.js';
import type { Manifest } from '../../programs/manifest.js';
import type { TrainingState } from '../state.js';
import { MocoV2Step } from './mocoV2Step.js';
import { MocoV3Step } from './mocoV3Step.js';
import { SeedStep } from './seedStep.js';
import { SimclrStep } from './simclrStep.js';
import type { Step } from './step.js';
import { StepRunner } from './stepRunner.js';
import { SupervisedStep } from './supervisedStep.js';
import { Teacher } from './teacher.js';

/** A SEED run's copy of its teacher in the program folder: a resumed run has the teacher that it began with. */
export const teacherFile = 'teacher.onnx';

/** Opens the step of a config's method over the programs of a folder. */
export async function openStep(
  folder: string,
  manifest: Manifest,
  config: Config,
  state: TrainingState,
  traceFolder?: string,
): Promise<Step> {
  const runner = await StepRunner.open(folder, manifest, config, state, traceFolder);
  const { method, runtime } = config;
  switch (method.kind) {
    case 'moco-v2':
      return new MocoV2Step(runner, method);
    case 'moco-v3':
      return new MocoV3Step(runner, method);
    case 'simclr':
      return new SimclrStep(runner, method);
    case 'supervised':
      return new SupervisedStep(runner);
    case 'seed': {
      const teacher = await Teacher.open(join(folder, teacherFile), method.dimension, runtime);
      return new SeedStep(runner, method, teacher);
    }
  }
}
