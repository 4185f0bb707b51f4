import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';

export type Device = 'cuda' | 'cpu';
export type Precision = Config['runtime']['precision'];

/** Where things are that the command runs on; what is not given is left out. */
export interface Places {
  readonly device: Device;
  /** Path of a libonnxruntime, e.g. of onnxruntime-gpu; '' is the one that onnxruntime-node ships. */
  readonly library: string;
  /** Pythons that have onnxruntime-gpu (or onnxruntime), onnxruntime-training, PyTorch. */
  readonly python?: string | undefined;
  readonly training?: string | undefined;
  readonly webgpu: boolean;
}

/** One way to run our steps. */
export interface Setup {
  readonly title: string;
  /** Assignments of a config. */
  readonly set: readonly string[];
  readonly device: Device | 'webgpu';
  /** Assignments on top where numbers are compared. */
  readonly exact: readonly string[];
  /** Whether it computes in float16, too. */
  readonly mixed: boolean;
}

/** The ways to run our steps that the places allow. */
export function setupsOf({ device, library, python, training, webgpu }: Places): Setup[] {
  const on = (engine: string, target: string) => [
    `runtime.engine=${engine}`,
    `runtime.provider=${device}`,
    `runtime.target=${target}`,
  ];
  const setups: Setup[] = [];
  const shared = { device, exact: device === 'cuda' ? ['runtime.cuda.tf32=false'] : [], mixed: true };
  // onnxruntime-node's own library has no CUDA provider.
  if (device === 'cpu' || library !== '') {
    const set = [...on('in-process', 'cuda'), ...(library === '' ? [] : [`runtime.library=${library}`])];
    setups.push({ title: 'in process', set, ...shared });
  }
  if (python !== undefined) {
    const set = [...on('python', 'cuda'), `runtime.python=${python}`];
    setups.push({ title: 'Python, stock', set, ...shared });
  }
  if (training !== undefined) {
    const set = [...on('python', 'ort-training'), `runtime.python=${training}`];
    setups.push({ title: 'Python, training', set, ...shared });
  }
  if (webgpu) {
    const set = ['runtime.engine=in-process', 'runtime.provider=webgpu', 'runtime.target=webgpu'];
    setups.push({ title: 'WebGPU', set, device: 'webgpu', exact: [], mixed: false });
  }
  return setups;
}

/** What others are compared with: standard operators on the library that onnxruntime-node ships, on the CPU. */
export const reference: Setup = {
  title: 'CPU, portable',
  set: ['runtime.provider=cpu', 'runtime.target=portable'],
  ...{ device: 'cpu', exact: [], mixed: true },
};

/** A preset with all widths, as a setup runs it. */
export function configOf(preset: string, set: readonly string[], setup: Setup): Config {
  return loadConfig({ preset, set: ['accumulation=1', ...set, ...setup.set] });
}
