import { traitsOf, type MethodConfig, type MethodName } from '../config/methods.js';
import { targetName, type Config } from '../config/schema.js';
import type { Weights } from '../programs/bindWeights.js';
import { emitPrograms, writePrograms, type EmittedPrograms } from '../programs/folder.js';
import { createNetwork, type Network } from '../programs/network.js';
import type { Manifest } from '../programs/manifest.js';
import type { Program } from '../programs/program.js';
import { targets } from '../targets/index.js';
import { ortTraining } from '../targets/ortTraining/index.js';
import type { Target } from '../targets/target.js';
import type { Method, Needs } from './method.js';
import { mocoV2 } from './mocoV2.js';
import { mocoV3 } from './mocoV3.js';
import { seed } from './seed.js';
import { simclr } from './simclr.js';
import type { MicroBatch, StepContext } from './step.js';
import { supervised } from './supervised.js';

/** The registry of methods, by `method.kind` of a config. */
const methods: { readonly [K in MethodName]: Method<K> } = {
  'moco-v2': mocoV2,
  'moco-v3': mocoV3,
  simclr,
  supervised,
  seed,
};

/** The method of a config, which takes that very kind of method config. */
function methodOf({ kind }: MethodConfig): Method<MethodName> {
  return methods[kind] as Method<MethodName>;
}

/** What the method of a config asks of its run. */
export function needsOf({ method }: Pick<Config, 'method'>): Needs {
  return { ...methodOf(method).needs(method), embedding: traitsOf(method).embeds };
}

/** The passes of a step of a config's method over the micro-batches of one replica. */
export function runPasses(
  { method }: Pick<Config, 'method'>,
  context: StepContext,
  batches: readonly MicroBatch[],
): Promise<void> {
  return methodOf(method).step(context, batches, method);
}

/** The network of a config: its encoder and its method's heads. */
export function networkOf(config: Config): Network {
  return createNetwork(config, (add) => methodOf(config.method).heads(add, config.method));
}

/** The network of a config and its programs, not lowered yet. */
export function methodPrograms(config: Config): { readonly network: Network; readonly programs: Program[] } {
  const network = networkOf(config);
  return { network, programs: methodOf(config.method).programs(network, config, config.method) };
}

/** The target that a config names, as it is on any machine: nothing is probed or measured. */
function namedTarget({ runtime }: Config): Target {
  const name = targetName(runtime);
  return name === 'ort-training' ? ortTraining({ cuda: runtime.provider === 'cuda' }) : targets[name];
}

/** Emits all programs of a config in memory. Deterministic: the same config and target give the same bytes. */
export function emitMethod(config: Config, target: Target = namedTarget(config)): EmittedPrograms {
  const { network, programs } = methodPrograms(config);
  return emitPrograms(network, config, target, programs);
}

/**
 * Writes the program folder of a config: one graph a program, `manifest.json`, and `weights.safetensors` with
 * freshly drawn weights, or with those of `given` in their place. src/programs/README.md describes the folder.
 */
export async function buildPrograms(
  config: Config,
  folder: string,
  target: Target = namedTarget(config),
  given: Weights = new Map(),
): Promise<Manifest> {
  const { network, programs } = methodPrograms(config);
  const emitted = emitPrograms(network, config, target, programs);
  await writePrograms(folder, emitted, network, config, given);
  return emitted.manifest;
}
