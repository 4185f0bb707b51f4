import { existsSync } from 'node:fs';
import type { Engine } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';

/** Chromium's software Vulkan, where there is no graphics card. */
const software = '/usr/lib/chromium/vk_swiftshader_icd.json';

let opened: Promise<Engine> | undefined;

/** One for all tests of this process: it keeps the shaders that it has compiled. */
export function webGpuEngine(): Promise<Engine> {
  return (opened ??= openEngine({ provider: 'webgpu', threads: 1 }));
}

after(async () => {
  const engine = await opened;
  opened = undefined;
  await engine?.close();
});

let found: Promise<string | null> | undefined;

/** Why there is no WebGPU device here; null where there is one. Takes software Vulkan where it is installed. */
export function noWebGpu(): Promise<string | null> {
  return (found ??= look());
}

async function look(): Promise<string | null> {
  if (!existsSync('/dev/dri') && existsSync(software)) {
    process.env['VK_ICD_FILENAMES'] ??= software;
    process.env['XDG_RUNTIME_DIR'] ??= '/tmp';
  }
  try {
    await (await openEngine({ provider: 'webgpu', threads: 1 })).close();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
