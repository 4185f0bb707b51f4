import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Config } from '../config/schema.js';
import { replicaOptions } from '../engines/engineOptions.js';
import { openEngine } from '../engines/openEngine.js';
import { methodPrograms } from '../methods/index.js';
import { lowerPrograms } from '../programs/folder.js';
import {
  cudaBuiltIn,
  cudaTableChoices,
  RecordedCudaChoices,
  type CudaChoices,
  type CudaChoiceTable,
  type CudaQuestion,
} from '../targets/cuda/choices.js';
import { cudaTarget } from '../targets/cuda/index.js';
import { version } from '../version.js';
import { EngineConvBench } from './convBench.js';
import { cudaTuningFiles, type CudaTuningKey } from './cudaTuningCache.js';
import { cachedChoices } from './tuningFile.js';
import { tuneCuda } from './tuneCuda.js';
import { recordHead, type TargetRecord } from './targetRecord.js';

export interface MeasureCudaOptions {
  readonly cacheDirectory?: string | undefined;
  /** Told how far the measurements are. */
  readonly onProgress?: (message: string) => void;
  /** Told what a person should know. */
  readonly onNotice?: (message: string) => void;
}

const execute = promisify(execFile);

/** Milliseconds that measuring may take; the layers that cost least go without. */
const budget = 90_000;

/** What the cuda target asks for the programs that training runs, a question a layer, and all answers. */
export function askCuda(
  config: Config,
  choices: CudaChoices,
): { questions: readonly CudaQuestion[]; choices: CudaChoiceTable } {
  const { network, programs } = methodPrograms(config);
  const recorded = new RecordedCudaChoices(choices);
  const training = programs.filter(({ kind }) => kind === 'query' || kind === 'key');
  lowerPrograms(network, config, cudaTarget(recorded), training);
  return { questions: recorded.questions, choices: recorded.table() };
}

/** The cuda target's record with the built-in choices. */
export function builtInCuda(config: Config): TargetRecord {
  return { ...recordHead, target: 'cuda', choices: askCuda(config, cudaBuiltIn).choices };
}

/**
 * The cuda target's record with choices measured on the engine and device of the config, at first use, or from the cache.
 * Throws a SlimclrError where the engine cannot be had here.
 */
export async function measuredCuda(
  config: Config,
  { cacheDirectory, onProgress, onNotice }: MeasureCudaOptions = {},
): Promise<TargetRecord> {
  const engine = await openEngine(replicaOptions(config.runtime));
  try {
    const key = await tuningKey(config.runtime, engine.facts.version);
    const choices = await cachedChoices(cudaTuningFiles, key, {
      cacheDirectory,
      onNotice,
      ask: (known) => askCuda(config, cudaTableChoices(known)),
      measure: ({ questions }, known) =>
        tuneCuda({
          questions,
          known,
          bench: new EngineConvBench(engine),
          budget,
          onProgress: (share) =>
            onProgress?.(
              `measuring the kernels of this device for this config: ${Math.floor(100 * share)} %`,
            ),
        }),
    });
    return { ...recordHead, target: 'cuda', choices };
  } finally {
    await engine.close();
  }
}

async function tuningKey(runtime: Config['runtime'], onnxruntime: string): Promise<CudaTuningKey> {
  const { provider, engine, cuda } = runtime;
  const { convolutionSearch, tf32 } = cuda;
  const device = provider === 'cuda' ? await gpuName(cuda.device) : provider;
  const options = JSON.stringify({ engine, convolutionSearch, tf32 });
  return { device, onnxruntime, slimclr: version, options };
}

/** Name and driver of a GPU, as NVIDIA's own tool says; `unknown` where it is not there. */
async function gpuName(device: number): Promise<string> {
  try {
    const query = [`--id=${device}`, '--query-gpu=name,driver_version', '--format=csv,noheader'];
    const { stdout } = await execute('nvidia-smi', query, { timeout: 10_000 });
    return stdout.split('\n')[0]!.trim() || 'unknown';
  } catch {
    return 'unknown';
  }
}
