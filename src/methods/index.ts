import { targetName, type Config } from '../config/schema.js';
import { emitPrograms, writePrograms, type EmittedPrograms } from '../programs/folder.js';
import { Network } from '../programs/network.js';
import type { Manifest } from '../programs/manifest.js';
import type { Program } from '../programs/program.js';
import { targets } from '../targets/index.js';
import type { Target } from '../targets/target.js';
import { mocoV2Programs } from './mocoV2.js';

type Programs = (network: Network, config: Config) => Program[];

/** The registry of methods, by `method.name` of a config. */
const methods: Readonly<Record<Config['method']['name'], Programs>> = { 'moco-v2': mocoV2Programs };

/** The network of a config and its programs, not lowered yet. */
export function methodPrograms(config: Config): { readonly network: Network; readonly programs: Program[] } {
  const network = new Network(config);
  return { network, programs: methods[config.method.name](network, config) };
}

/** The target that a config names, as it is on any machine: nothing is probed or measured. */
function namedTarget({ runtime }: Config): Target {
  return targets[targetName(runtime)];
}

/** Emits all programs of a config in memory. Deterministic: the same config and target give the same bytes. */
export function emitMethod(config: Config, target: Target = namedTarget(config)): EmittedPrograms {
  const { network, programs } = methodPrograms(config);
  return emitPrograms(network, config, target, programs);
}

/**
 * Writes the program folder of a config: one graph a program, `manifest.json`, and `weights.safetensors` with
 * freshly drawn weights. src/programs/README.md describes the folder.
 */
export async function buildPrograms(
  config: Config,
  folder: string,
  target: Target = namedTarget(config),
): Promise<Manifest> {
  const { network, programs } = methodPrograms(config);
  const emitted = emitPrograms(network, config, target, programs);
  await writePrograms(folder, emitted, network, config);
  return emitted.manifest;
}
