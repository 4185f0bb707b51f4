import type { Config } from '../config/schema.js';
import { usableThreads } from '../limits.js';

/** What an engine is to run on. */
export interface EngineOptions
  extends
    Pick<Config['runtime'], 'provider' | 'threads'>,
    Partial<Pick<Config['runtime'], 'engine' | 'python' | 'library'>> {
  /** Which of several devices, from 0; default: that of `cuda`. */
  readonly device?: number;
  readonly cuda?: Partial<Config['runtime']['cuda']>;
}

export function deviceOf({ device, cuda }: Pick<EngineOptions, 'device' | 'cuda'>): number {
  return device ?? cuda?.device ?? 0;
}

/** Threads that a config asks for: 0 means one a core, or fewer where a control group limits the process. */
export function threadCount({ threads }: Pick<EngineOptions, 'threads'>): number {
  return threads === 0 ? usableThreads() : threads;
}

/** What one replica runs on: its share of the cores, or the CUDA device of its rank. */
export function replicaOptions(runtime: Config['runtime'], rank = 0): EngineOptions {
  const { engine, python, library, provider, cuda, replicas, threads } = runtime;
  const share = threads === 0 ? Math.max(1, Math.floor(threadCount(runtime) / replicas)) : threads;
  return { engine, python, library, provider, threads: share, device: cuda.device + rank, cuda };
}
