import { cpuTarget } from './cpu/index.js';
import { portable } from './portable.js';
import type { Target } from './target.js';

/** The targets by name, each as it is on any machine: `cpu` for processors with AVX-512, with the built-in choices. */
export const targets: Readonly<Record<'portable' | 'cpu', Target>> = { portable, cpu: cpuTarget(16) };
