import { join } from 'node:path';
import type { Config } from '../../config/schema.js';
import type { Manifest } from '../../programs/manifest.js';
import { replicaRuntime } from '../../runtime/session.js';
import type { TrainingState } from '../state.js';
import type { MethodStep } from './methodStep.js';
import { MocoV2Step } from './mocoV2Step.js';
import { MocoV3Step } from './mocoV3Step.js';
import { SeedStep } from './seedStep.js';
import { SimclrStep } from './simclrStep.js';
import { StepRunner, type StepOptions } from './stepRunner.js';
import { SupervisedStep } from './supervisedStep.js';
import { Teacher } from './teacher.js';

/** A SEED run's copy of its teacher in the program folder: a resumed run has the teacher that it began with. */
export const teacherFile = 'teacher.onnx';

/** Opens the step of a config's method over the programs of a folder, as one replica runs it. */
export async function openMethodStep(
  folder: string,
  manifest: Manifest,
  config: Config,
  state: TrainingState,
  options: StepOptions = {},
): Promise<MethodStep> {
  const runner = await StepRunner.open(folder, manifest, config, state, options);
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
      const own = replicaRuntime(runtime, runner.group.rank);
      const teacher = await Teacher.open(join(folder, teacherFile), method.dimension, own);
      return new SeedStep(runner, method, teacher);
    }
  }
}
