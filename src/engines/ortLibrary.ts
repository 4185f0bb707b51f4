import type { LibraryHandle } from 'koffi';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { reasonOf, SlimclrError } from '../errors.js';
import { koffi, pin } from '../koffi.js';
import { once } from '../once.js';
import { bindOrtApi, oldestMinor, type OrtApi, type Pointer } from './ortApi.js';

/*
 * The one door to ONNX Runtime: nothing else loads its library. That happens at first use, so that what needs no engine
 * works without it, and it never reports to anybody.
 */

/** A library of ONNX Runtime that this process has loaded. */
export interface OrtLibrary {
  readonly path: string;
  /** E.g. `1.29.0`. */
  readonly version: string;
  readonly api: OrtApi;
  /** For the life of the process. */
  readonly environment: Pointer;
  /** koffi unloads a library that nobody holds. */
  readonly library: LibraryHandle;
}

/**
 * ONNX Runtime reads this variable when a process makes its environment. Otherwise it keeps a device id and a database
 * of events, with the names of the process and its graphs, under the user's cache folder.
 */
const telemetryVariable = 'ORT_DISABLE_TELEMETRY';

// Whoever imports this module: what starts later, in threads and child processes, gets a copy of the environment.
if (isMainThread) process.env[telemetryVariable] = '1';

/** Of messages on stderr: none. What ONNX Runtime refuses it also says in a status. */
const silent = 4;

const loaded = new Map<string, OrtLibrary>();

/**
 * The library at a path, '' for the one that onnxruntime-node ships. Throws a SlimclrError, in one line, when it does not
 * load or is of a version that is not accepted.
 */
export function ortLibrary(path = ''): OrtLibrary {
  return once(loaded, path === '' ? path : resolve(path), () => {
    try {
      return open(path === '' ? shippedLibrary() : resolve(path));
    } catch (cause) {
      if (cause instanceof SlimclrError) throw cause;
      const failure = path === '' ? loadFailure(cause as NodeJS.ErrnoException) : foreignFailure(path, cause);
      throw new SlimclrError(failure, { cause });
    }
  });
}

function open(path: string): OrtLibrary {
  turnTelemetryOff();
  const { load, decode, array, call, proto } = koffi();
  const library = load(path);
  pin(path);
  // struct OrtApiBase { const OrtApi *(*GetApi)(uint32_t version); const char *(*GetVersionString)(); }
  const base = library.func('OrtGetApiBase', 'void *', [])() as Pointer;
  const [getApi, getVersion] = decode(base, array('void *', 2)) as [Pointer, Pointer];
  const version = call(getVersion, proto('str', [])) as string;
  const refused = refusedVersion(version);
  if (refused !== null) throw new SlimclrError(`${path}: ${refused}`);
  const table = call(getApi, proto('void *', ['uint32_t']), oldestMinor) as Pointer | null;
  if (table === null) throw new SlimclrError(`${path}: ${notAccepted(version)}`);
  const api = bindOrtApi(table);
  const environment = api.createEnv(silent, 'slimclr');
  api.disableTelemetryEvents(environment);
  return { path, version, api, environment, library };
}

const providerNames = {
  cpu: 'CPUExecutionProvider',
  cuda: 'CUDAExecutionProvider',
  webgpu: 'WebGpuExecutionProvider',
} as const;

/** The providers that a library was built with; bundled: compiled in, others need a library of their own. */
export function executionProviders({ api } = ortLibrary()): {
  readonly name: keyof typeof providerNames;
  readonly bundled: boolean;
}[] {
  const built = api.providers();
  return (Object.keys(providerNames) as (keyof typeof providerNames)[])
    .filter((name) => built.includes(providerNames[name]))
    .map((name) => ({ name, bundled: name !== 'cuda' }));
}

/** Why a version is not accepted, in one line; null where it is. */
export function refusedVersion(version: string): string | null {
  const [, major, minor] = /^(\d+)\.(\d+)\./.exec(version) ?? [];
  return major === '1' && Number(minor) >= oldestMinor ? null : notAccepted(version);
}

function notAccepted(version: string): string {
  return `ONNX Runtime ${version}; accepted: 1.${oldestMinor} or newer, before 2`;
}

/** In a worker thread `process.env` is a copy, which native code does not see. */
function turnTelemetryOff(): void {
  if (isMainThread) return;
  if (process.platform === 'win32') {
    const set = koffi().load('kernel32.dll').func('SetEnvironmentVariableW', 'int', ['str16', 'str16']);
    set(telemetryVariable, '1');
  } else {
    koffi().load(null).func('setenv', 'int', ['str', 'str', 'int'])(telemetryVariable, '1', 1);
  }
}

const libraryNames: Readonly<Record<string, RegExp>> = {
  linux: /^libonnxruntime\.so\.1$/,
  darwin: /^libonnxruntime\.1\.dylib$/,
  win32: /^onnxruntime\.dll$/,
};

/** Path of the library in the package onnxruntime-node. Throws what the file system or the search for the package does. */
function shippedLibrary(): string {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  for (const napi of readdirSync(join(root, 'bin'))) {
    const folder = join(root, 'bin', napi, process.platform, process.arch);
    const file = readdirSync(folder).find((name) => libraryNames[process.platform]?.test(name));
    if (file !== undefined) return join(folder, file);
  }
  throw Object.assign(new Error('no library'), { code: 'ENOENT' });
}

function foreignFailure(path: string, cause: unknown): string {
  return (
    `${path} cannot be loaded as ONNX Runtime (${reasonOf(cause)}); ` +
    `accepted: a libonnxruntime of ${process.platform} ${process.arch}, 1.${oldestMinor} or newer, with what it needs`
  );
}

/** This machine as far as it decides which binary fits. */
export interface Platform {
  readonly platform: string;
  readonly arch: string;
  /** Of the C library in use; undefined where that is not glibc. */
  readonly glibc: string | undefined;
}

/** Platforms that onnxruntime-node has a binary for. */
const binaries = ['linux x64', 'linux arm64', 'darwin arm64', 'win32 x64', 'win32 arm64'];

/** One line that says why ONNX Runtime does not load from the packages, and what to do. */
export function loadFailure(
  { code, message }: Pick<NodeJS.ErrnoException, 'code' | 'message'>,
  { platform, arch, glibc }: Platform = thisPlatform(),
): string {
  const name = `${platform} ${arch}`;
  if (!binaries.includes(name)) {
    const rosetta = name === 'darwin x64' ? ' (on Apple silicon: a Node.js for arm64)' : '';
    return `onnxruntime-node has no binary for ${name}; accepted: ${binaries.join(', ')}${rosetta}`;
  }
  if (platform === 'linux' && glibc === undefined) {
    return (
      'onnxruntime-node has no binary for Linux with musl, such as Alpine; ' +
      'accepted: Linux with glibc, e.g. the image node:22-slim'
    );
  }
  if (code === 'MODULE_NOT_FOUND' || code === 'ENOENT') {
    const missing = /'koffi|koffi'/.test(message) ? 'koffi' : 'onnxruntime-node';
    return `${missing} is not installed, or not whole; accepted: the packages as \`npm install\` leaves them`;
  }
  const needs =
    platform === 'win32'
      ? 'Windows with the Microsoft Visual C++ Redistributable'
      : 'a system with the libraries that it names, as new as it asks for';
  return `onnxruntime-node cannot be loaded (${reasonOf(message)}); accepted: ${needs}`;
}

function thisPlatform(): Platform {
  const { platform, arch } = process;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return { platform, arch, glibc: header.glibcVersionRuntime };
}
