import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import type * as OnnxRuntime from 'onnxruntime-node';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { reasonOf, SlimclrError } from '../errors.js';

/*
 * The one door to ONNX Runtime: nothing else imports onnxruntime-node. The library is loaded at first use, so that
 * what needs no session works without it, and never reports to anybody.
 */

export type { InferenceSession, Tensor };

/**
 * ONNX Runtime reads this variable when a process opens its first session. Otherwise it keeps a device id and a
 * database of events, with the names of the process and its graphs, under the user's cache folder.
 */
const telemetryVariable = 'ORT_DISABLE_TELEMETRY';

// Whoever imports this module: what starts later, in threads and child processes, gets a copy of the environment.
if (isMainThread) process.env[telemetryVariable] = '1';

let loaded: typeof OnnxRuntime | undefined;
let telemetryOff: Promise<void> | undefined;

/**
 * A session of a model: its bytes or the path of its file. Throws a SlimclrError when ONNX Runtime cannot be loaded,
 * and what ONNX Runtime throws when it does not take the model.
 */
export async function createSession(
  model: Uint8Array | string,
  options: InferenceSession.SessionOptions = {},
): Promise<InferenceSession> {
  const { InferenceSession } = onnxRuntime();
  await (telemetryOff ??= turnTelemetryOff());
  return typeof model === 'string'
    ? InferenceSession.create(model, options)
    : InferenceSession.create(model, options);
}

/** A tensor over a typed array, which it shares with the caller, or of numbers. */
export function newTensor<T extends Exclude<Tensor.Type, 'string'>>(
  type: T,
  data: Tensor.DataTypeMap[T] | readonly number[],
  dims: readonly number[],
): Tensor {
  return new (onnxRuntime().Tensor)(type, data, dims);
}

/** Version of the ONNX Runtime that is loaded, e.g. `1.29.0`. */
export function onnxRuntimeVersion(): string {
  return onnxRuntime().env.versions.node!;
}

/** The execution providers of this platform; bundled: compiled in, others need a library of their own. */
export function executionProviders(): readonly { readonly name: string; readonly bundled: boolean }[] {
  return onnxRuntime().listSupportedBackends();
}

function onnxRuntime(): typeof OnnxRuntime {
  return (loaded ??= load());
}

function load(): typeof OnnxRuntime {
  try {
    return createRequire(import.meta.url)('onnxruntime-node') as typeof OnnxRuntime;
  } catch (cause) {
    throw new SlimclrError(loadFailure(cause as NodeJS.ErrnoException), { cause });
  }
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

/** One line that says why onnxruntime-node does not load and what to do. */
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
  if (code === 'MODULE_NOT_FOUND') {
    return 'onnxruntime-node is not installed, or not whole; accepted: the packages as `npm install` leaves them';
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

/** Milliseconds that the main thread has to answer. */
const patience = 10_000;

/**
 * In a worker thread `process.env` is a copy, which native code does not see: where the main thread has not imported
 * this module, it is asked to set the variable. Throws a SlimclrError when it does not answer.
 */
async function turnTelemetryOff(): Promise<void> {
  if (isMainThread || process.env[telemetryVariable] === '1') return;
  const { Session } = await import('node:inspector');
  const session = new Session();
  // The timer also keeps the thread alive: a pending answer alone does not.
  let timer: NodeJS.Timeout | undefined;
  try {
    session.connectToMainThread();
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('no answer')), patience);
      session.post('Runtime.evaluate', { expression: `process.env.${telemetryVariable} = '1'` }, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  } catch (cause) {
    throw new SlimclrError(
      'ONNX Runtime would collect telemetry, which this thread cannot turn off; accepted: ' +
        `${telemetryVariable}=1 in the environment, or slimclr imported in the main thread before`,
      { cause },
    );
  } finally {
    clearTimeout(timer);
    session.disconnect();
  }
}
