import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { cpus, freemem, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { defaultCacheDirectory } from '../data/cacheDirectory.js';
import { installedMpiLibraries } from '../distributed/mpi/library.js';
import { processLimits, usableThreads } from '../limits.js';
import { isAbsent } from '../plainFile.js';
import { version } from '../version.js';
import { engineReports, type EngineReport } from './engineReports.js';
import { probeBlockedKernels, type BlockedKernels } from '../engines/nchwcProbe.js';

/** What slimclr finds on this machine. */
export interface DoctorReport {
  readonly versions: {
    readonly slimclr: string;
    readonly node: string;
    /** That of the engine in process; null when it does not load. */
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
  readonly engines: readonly EngineReport[];
  /** Libraries of MPI that the system's loader finds, over which several machines train together (docs/scale.md). */
  readonly mpi: readonly MpiReport[];
}

export interface MpiReport {
  /** The name that the loader knows it by. */
  readonly path: string;
  /** E.g. `Open MPI 4.1.4`. */
  readonly version: string;
}

export interface CachedDataset {
  /** e.g. `cifar10-1.1.1`. */
  readonly name: string;
  readonly bytes: number;
}

/** How an NVIDIA GPU is made use of, which needs its driver and nothing else. */
export const cudaAdvice = [
  'To train on an NVIDIA GPU (Linux, with its driver), a Python that brings ONNX Runtime and the libraries of CUDA:',
  '  python3 -m venv ~/ort-gpu && ~/ort-gpu/bin/pip install "onnxruntime-gpu[cuda,cudnn]"',
  '  npx slimclr pretrain --set runtime.engine=python --set runtime.python=$HOME/ort-gpu/bin/python \\',
  '    --set runtime.provider=cuda ...',
] as const;

export interface DoctorOptions {
  /** Default: the cache of data sets (`defaultCacheDirectory`). */
  readonly cache?: string | undefined;
  /** Name or path of the interpreter of the Python engine; default `python3`. */
  readonly python?: string | undefined;
  /** Path of another ONNX Runtime for the engine in process; default: that of onnxruntime-node. */
  readonly library?: string | undefined;
}

/** Looks at versions, machine and cache, and trains a small graph on each provider of each engine. */
export async function doctor(options: DoctorOptions = {}): Promise<DoctorReport> {
  const { cache, python = 'python3', library = '' } = options;
  const processors = cpus();
  const engines = await engineReports(python, library);
  const limits = processLimits();
  return {
    versions: {
      slimclr: version,
      node: process.versions.node,
      onnxruntime: engines.find(({ engine }) => engine === 'in-process')!.version,
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
    cache: await cacheReport(cache),
    engines,
    mpi: installedMpiLibraries(),
  };
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
