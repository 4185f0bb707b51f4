import type { Config } from '../config/schema.js';
import { methodPrograms } from '../methods/index.js';
import { emitPrograms } from '../programs/folder.js';
import {
  cudaBuiltIn,
  RecordedCudaChoices,
  type CudaChoices,
  type CudaChoiceTable,
  type CudaQuestion,
} from '../targets/cuda/choices.js';
import { cudaTarget } from '../targets/cuda/index.js';
import { recordHead, type TargetRecord } from './targetRecord.js';

/** What the cuda target asks for the programs that training runs, a question a layer, and all answers. */
export function askCuda(
  config: Config,
  choices: CudaChoices,
): { questions: readonly CudaQuestion[]; choices: CudaChoiceTable } {
  const { network, programs } = methodPrograms(config);
  const recorded = new RecordedCudaChoices(choices);
  const training = programs.filter(({ kind }) => kind === 'query' || kind === 'key');
  emitPrograms(network, config, cudaTarget(recorded), training);
  return { questions: recorded.questions, choices: recorded.table() };
}

/** The cuda target's record with the built-in choices. */
export function builtInCuda(config: Config): TargetRecord {
  return { ...recordHead, target: 'cuda', choices: askCuda(config, cudaBuiltIn).choices };
}
