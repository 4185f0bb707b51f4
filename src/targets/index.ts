import { cpuTarget } from './cpu/index.js';
import { portable } from './portable.js';
import type { Target } from './target.js';

/** The registry of targets, by the name that `runtime.target` of a config takes. */
export const targets: Readonly<Record<'portable' | 'cpu', Target>> = { portable, cpu: cpuTarget(16) };
