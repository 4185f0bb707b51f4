import type { Config } from '../config/schema.js';
import { emitPrograms, writePrograms, type EmittedPrograms } from '../programs/folder.js';
import { Network } from '../programs/network.js';
import type { Manifest } from '../programs/manifest.js';
import type { Program } from '../programs/program.js';
import { targets } from '../targets/index.js';
import { mocoV2Programs } from './mocoV2.js';

type Programs = (network: Network, config: Config) => Program[];

/** The registry of methods, by `method.name` of a config. */
const methods: Readonly<Record<Config['method']['name'], Programs>> = { 'moco-v2': mocoV2Programs };

/** Emits all programs of a config in memory. Deterministic: the same config gives the same bytes. */
export function emitMethod(config: Config): EmittedPrograms {
  const network = new Network(config);
  return emitPrograms(
    network,
    config,
    targets[config.runtime.target],
    methods[config.method.name](network, config),
  );
}

/**
 * Writes the program folder of a config: one graph a program, `manifest.json`, and `weights.safetensors` with
 * freshly drawn weights. src/programs/README.md describes the folder.
 */
export async function buildPrograms(config: Config, folder: string): Promise<Manifest> {
  const emitted = emitMethod(config);
  await writePrograms(folder, emitted, new Network(config), config);
  return emitted.manifest;
}
