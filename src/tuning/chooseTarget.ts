import { targetName, type Config } from '../config/schema.js';
import { methodPrograms } from '../methods/index.js';
import { lowerPrograms } from '../programs/folder.js';
import { probeBlockedKernels } from '../engines/nchwcProbe.js';
import { replicaOptions } from '../engines/engineOptions.js';
import { isBuiltForTraining } from '../engines/trainingProbe.js';
import {
  builtIn,
  RecordedChoices,
  tableChoices,
  type Choices,
  type ChoiceTable,
} from '../targets/cpu/choices.js';
import { cpuTarget, type CpuKernels } from '../targets/cpu/index.js';
import { cudaTarget } from '../targets/cuda/index.js';
import { ortTraining } from '../targets/ortTraining/index.js';
import { portable } from '../targets/portable.js';
import type { Target } from '../targets/target.js';
import { webgpu } from '../targets/webgpu/index.js';
import { builtInCuda, measuredCuda } from './chooseCuda.js';
import { OrtLayerBench, type LayerBench } from './layerBench.js';
import { recordHead, type TargetRecord } from './targetRecord.js';
import { tune, type MapQuestion } from './tune.js';
import { cpuTuningFiles, tuningKey } from './tuningCache.js';
import { cachedChoices } from './tuningFile.js';

export interface ChooseOptions {
  readonly cacheDirectory?: string | undefined;
  /** Told how far the measurements are. */
  readonly onProgress?: (message: string) => void;
  /** Told what a person should know. */
  readonly onNotice?: (message: string) => void;
  readonly probe?: typeof probeBlockedKernels;
  readonly bench?: LayerBench;
}

/** The target that a config names; for `auto` on CUDA `ort-training` where the engine has its kernels. */
async function namedTarget(runtime: Config['runtime']): Promise<ReturnType<typeof targetName>> {
  const name = targetName(runtime);
  const open = name === 'cuda' && runtime.target === 'auto';
  return open && (await isBuiltForTraining(replicaOptions(runtime))) ? 'ort-training' : name;
}

/** The target of training graphs on this machine, with the built-in choices: nothing is measured. */
export async function builtInTarget(runtime: Config['runtime']): Promise<Target> {
  const name = await namedTarget(runtime);
  if (name === 'portable') return portable;
  if (name === 'cuda') return cudaTarget();
  if (name === 'webgpu') return webgpu;
  if (name === 'ort-training') return ortTraining({ cuda: runtime.provider === 'cuda' });
  const kernels = await probeBlockedKernels(runtime);
  if ('reason' in kernels) return portable;
  const { blockSize, plainGroups } = kernels;
  return cpuTarget(blockSize, builtIn, { plainGroups });
}

/** Milliseconds that measuring may take; on a slow machine the narrow widths go without. */
const budget = 60_000;

/**
 * What the programs of a config are to be lowered for on this machine. For the cpu target its choices are measured
 * at first use, and kept in the cache (runtime.tune `auto`), or the built-in ones (`off`).
 */
export async function chooseTarget(config: Config, options: ChooseOptions = {}): Promise<TargetRecord> {
  const { probe = probeBlockedKernels } = options;
  const name = await namedTarget(config.runtime);
  if (name === 'portable' || name === 'webgpu') return { ...recordHead, target: name };
  if (name === 'cuda') {
    const { provider, tune } = config.runtime;
    // On the CPU it is there to be tried, not to be fast.
    return tune === 'off' || provider !== 'cuda' ? builtInCuda(config) : measuredCuda(config, options);
  }
  if (name === 'ort-training') {
    return { ...recordHead, target: name, cuda: config.runtime.provider === 'cuda' };
  }
  const probed = await probe(config.runtime);
  if ('reason' in probed) return { ...recordHead, target: 'portable', reason: probed.reason };
  const kernels = { block: probed.blockSize, plainGroups: probed.plainGroups };
  const choices =
    config.runtime.tune === 'off'
      ? ask(config, kernels, builtIn).choices
      : await measured(config, kernels, options);
  return { ...recordHead, target: 'cpu', ...kernels, choices };
}

async function measured(
  config: Config,
  kernels: CpuKernels,
  { cacheDirectory, onProgress, onNotice, bench }: ChooseOptions,
): Promise<ChoiceTable> {
  const runtime = replicaOptions(config.runtime);
  const key = tuningKey(runtime.threads, kernels, runtime.library);
  return cachedChoices(cpuTuningFiles, key, {
    cacheDirectory,
    onNotice,
    ask: (known) => ask(config, kernels, tableChoices(known)),
    measure: ({ graphs }, known) =>
      tune({
        graphs,
        base: builtIn,
        known,
        bench: bench ?? new OrtLayerBench(kernels, runtime),
        budget,
        onProgress: (share) =>
          onProgress?.(`measuring the kernels of this machine for this config: ${Math.floor(100 * share)} %`),
      }),
  });
}

/** What the cpu target asks for the programs that training runs, and all answers. */
function ask(
  config: Config,
  { block, plainGroups }: CpuKernels,
  choices: Choices,
): { graphs: MapQuestion[][]; choices: ChoiceTable } {
  const { network, programs } = methodPrograms(config);
  const all = new RecordedChoices(choices);
  const graphs = programs
    .filter(({ kind }) => kind === 'query' || kind === 'key')
    .map((program) => {
      const recorded = new RecordedChoices(all);
      lowerPrograms(network, config, cpuTarget(block, recorded, { plainGroups }), [program]);
      return recorded.maps;
    });
  return { graphs, choices: all.table() };
}
