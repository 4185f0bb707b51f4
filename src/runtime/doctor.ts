import { fork } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { cpus, freemem, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { configSchema, type Config } from '../config/schema.js';
import { defaultCacheDirectory } from '../data/cacheDirectory.js';
import { SlimclrError } from '../errors.js';
import { executionProviders, ortLibrary } from '../engines/ortLibrary.js';
import { processLimits, usableThreads } from '../limits.js';
import { isAbsent } from '../plainFile.js';
import { version } from '../version.js';
import { probeBlockedKernels, type BlockedKernels } from './nchwcProbe.js';
import type { TrialMessage } from './providerTrial.js';

type Provider = Config['runtime']['provider'];

/** What slimclr finds on this machine. */
export interface DoctorReport {
  readonly versions: {
    readonly slimclr: string;
    readonly node: string;
    /** Null when it does not load. */
    readonly onnxruntime: string | null;
  };
  /** Of ONNX Runtime: what it would send, if anybody listened, is not collected. */
  readonly telemetry: 'off';
  /** e.g. `linux x64`. */
  readonly platform: string;
  readonly cpu: {
    readonly model: string;
    readonly cores: number;
    /** CPUs' worth of time that a control group leaves this process; null where nothing limits it. */
    readonly limit: number | null;
    /** Threads that `runtime.threads` 0 stands for: a container may have fewer than the machine has cores. */
    readonly threads: number;
    /** Threads that decode images at the same time. */
    readonly decodeThreads: number;
  };
  /** Of ONNX Runtime on this processor: what the cpu target is made of. */
  readonly blockedKernels: BlockedKernels;
  /** Bytes: of the machine, that a control group leaves this process (null: all), free of them. */
  readonly memory: { readonly total: number; readonly limit: number | null; readonly free: number };
  /** `directory` null: there is none, for the `reason`. */
  readonly cache:
    | {
        readonly directory: string;
        readonly datasets: readonly CachedDataset[];
        /** Whether it can be written, or made. */
        readonly writable: boolean;
      }
    | { readonly directory: null; readonly reason: string };
  readonly providers: readonly ProviderReport[];
}

export interface CachedDataset {
  /** e.g. `cifar10-1.1.1`. */
  readonly name: string;
  readonly bytes: number;
}

export interface ProviderReport {
  readonly name: Provider;
  /** Compiled into onnxruntime-node; false: needs a library of its own. */
  readonly bundled: boolean;
  /** Why the trial training graph does not run there, or runs wrong; undefined when it trains. */
  readonly failure: string | undefined;
}

/** How a CUDA provider gets beside onnxruntime-node, which does not come with one. */
export const cudaAdvice = [
  'CUDA (Linux x64, NVIDIA driver, CUDA and cuDNN libraries): either run the install script of onnxruntime-node,',
  '  npm rebuild onnxruntime-node --ignore-scripts=false',
  'which downloads its provider for CUDA 12 from NuGet, or take the provider for CUDA 13 from the npm package',
  '  com.github.asus4.onnxruntime.linux-x64-gpu@0.4.9',
  'made for exactly onnxruntime-node 1.29.0: copy its libonnxruntime_providers_*.so into',
  '  node_modules/onnxruntime-node/bin/napi-v6/linux/x64/',
] as const;

/** A provider that has not answered by then hangs. Milliseconds. */
const trialTimeout = 60_000;
/** Largest |difference to the cpu| over the largest |cpu| that passes: float32 in another order of summation. */
const trialTolerance = 1e-3;

/** Looks at versions, machine and cache, and trains a small graph on each provider that a config can name. */
export async function doctor(cacheDirectory?: string): Promise<DoctorReport> {
  const processors = cpus();
  const limits = processLimits();
  const runtime = loadedRuntime();
  return {
    versions: {
      slimclr: version,
      node: process.versions.node,
      onnxruntime: 'failure' in runtime ? null : runtime.version,
    },
    telemetry: 'off',
    platform: `${process.platform} ${process.arch}`,
    cpu: {
      model: processors[0]?.model ?? 'unknown',
      cores: processors.length,
      limit: limits.cpus ?? null,
      threads: usableThreads(),
      decodeThreads: Number(process.env.UV_THREADPOOL_SIZE ?? 4),
    },
    blockedKernels: await probeBlockedKernels({ provider: 'cpu' }),
    memory: {
      total: totalmem(),
      limit: limits.memory ?? null,
      free: Math.min(process.availableMemory?.() ?? freemem(), limits.memory ?? Infinity),
    },
    cache: await cacheReport(cacheDirectory),
    providers: 'failure' in runtime ? noProviders(runtime.failure) : await tryProviders(),
  };
}

function loadedRuntime(): { readonly version: string } | { readonly failure: string } {
  try {
    return { version: ortLibrary().version };
  } catch (error) {
    if (!(error instanceof SlimclrError)) throw error;
    return { failure: error.message };
  }
}

/** The providers that a config can name. */
const providerNames = configSchema.shape.runtime.unwrap().shape.provider.unwrap().options;

function noProviders(failure: string): ProviderReport[] {
  return providerNames.map((name) => ({ name, bundled: false, failure }));
}

async function tryProviders(): Promise<ProviderReport[]> {
  const backends = new Map(executionProviders().map(({ name, bundled }) => [name, bundled]));
  const expected = await runTrial('cpu');
  const results: ProviderReport[] = [];
  for (const name of providerNames) {
    const bundled = backends.get(name);
    const failure =
      bundled === undefined
        ? `onnxruntime-node has no such provider on ${process.platform} ${process.arch}`
        : compare(name === 'cpu' ? expected : await runTrial(name), expected);
    results.push({ name, bundled: bundled ?? false, failure });
  }
  return results;
}

/** Trains the graph of providerTrial.ts on a provider, in a process of its own. */
function runTrial(provider: Provider): Promise<TrialMessage> {
  return new Promise((resolve) => {
    // Providers write to stderr on their own what the message says anyway.
    const child = fork(new URL('./providerTrial.js', import.meta.url), [provider], {
      stdio: 'ignore',
      timeout: trialTimeout,
    });
    child.once('message', (message) => resolve(message as TrialMessage));
    child.once('error', ({ message }) => resolve({ error: message }));
    child.once('exit', (code, signal) =>
      resolve({ error: `the trial process ended with ${signal ?? `code ${code}`}` }),
    );
  });
}

/** What is wrong with a trial; undefined when it gives the numbers of the cpu. */
function compare(trial: TrialMessage, expected: TrialMessage): string | undefined {
  if ('error' in trial) return withoutPlace(trial.error);
  if ('error' in expected) return 'the cpu provider gives nothing to compare with';
  const scale = Math.max(...expected.values.map(Math.abs));
  const error = Math.max(...expected.values.map((value, i) => Math.abs(value - trial.values[i]!))) / scale;
  return error <= trialTolerance ? undefined : `wrong numbers: relative error ${error.toPrecision(2)}`;
}

/** The part of a message of ONNX Runtime that is about the cause, without source positions, in one line. */
function withoutPlace(message: string): string {
  return message
    .replace(/^.*was false\. /s, '')
    .replace(/\s+/g, ' ')
    .trim();
}

async function cacheReport(named: string | undefined): Promise<DoctorReport['cache']> {
  try {
    const directory = named ?? defaultCacheDirectory();
    return {
      directory,
      datasets: await cachedDatasets(directory),
      writable: await isWritable(resolve(directory)),
    };
  } catch (error) {
    return { directory: null, reason: (error as Error).message };
  }
}

/** Whether files can be made in a folder that is there, or in the nearest one above it that is. */
async function isWritable(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return (await stat(folder)).isDirectory();
  } catch (error) {
    const above = dirname(folder);
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT' && above !== folder;
    return absent && isWritable(above);
  }
}

async function cachedDatasets(cacheDirectory: string): Promise<CachedDataset[]> {
  const root = join(cacheDirectory, 'datasets');
  const found: CachedDataset[] = [];
  for (const name of await namesIn(root)) {
    if (name.includes('.partial-')) continue;
    let bytes = 0;
    for (const file of await namesIn(join(root, name))) bytes += (await stat(join(root, name, file))).size;
    found.push({ name, bytes });
  }
  return found;
}

/** Names in a folder, sorted; none when there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}
