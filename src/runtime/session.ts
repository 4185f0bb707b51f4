import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import { SlimclrError } from '../errors.js';
import { threadCount } from '../engines/engineOptions.js';
import { sha256 } from '../onnx/hash.js';
import { decodeModel, encodeModel } from '../onnx/model.js';
import { repeated } from '../onnx/repeated.js';
import { readNamedFile } from '../plainFile.js';
import type { GraphEntry, Manifest } from '../programs/manifest.js';
import { sharesFreedMemory } from '../engines/memoryEnvironment.js';
import { createSession, newTensor, type InferenceSession, type Tensor } from './onnxRuntime.js';
import { sentinel, stoppedAtSentinel, withSentinel } from './outputsInPlace.js';

export type { Tensor };
export type Tensors = Readonly<Record<string, Tensor>>;
export type RuntimeOptions = Pick<Config['runtime'], 'provider' | 'threads'> &
  Partial<Pick<Manifest, 'optimization'>> & {
    /** Which of several CUDA devices, from 0. */
    readonly device?: number;
    /** How often what depends on inputs of symbolic shape is there (`repeated`); default 1. */
    readonly repetitions?: number;
    /** Folder to which the session writes a trace of all its runs, until `endTrace`. */
    readonly traceFolder?: string | undefined;
  };

/** A graph of a program folder, ready to run. */
export class Session {
  /** Seconds spent inside ONNX Runtime so far. */
  seconds = 0;
  runs = 0;

  private constructor(
    readonly entry: GraphEntry,
    private readonly session: InferenceSession,
    readonly repetitions: number,
    private readonly traceFolder: string | undefined,
  ) {}

  /**
   * Opens a graph of a folder. Every input must be fed on every run: onnxruntime-node hides initializers that
   * are also inputs and ignores feeds for them, so they are taken out of the model in memory.
   * Throws a SlimclrError when the file is not the one that the manifest describes.
   */
  static async open(
    folder: string,
    manifest: Manifest,
    name: string,
    options: RuntimeOptions,
  ): Promise<Session> {
    const entry = manifest.graphs.find((graph) => graph.name === name);
    if (!entry) {
      const names = manifest.graphs.map((graph) => graph.name).join(', ');
      throw new SlimclrError(`${folder}: no graph "${name}"; accepted: ${names}`);
    }
    const bytes = await readNamedFile(folder, entry.file);
    if (sha256(bytes) !== entry.sha256) {
      throw new SlimclrError(`${join(folder, entry.file)}: not the file that the manifest describes`);
    }
    return Session.of(entry, bytes, { ...options, optimization: manifest.optimization });
  }

  /** A session of a model in memory. */
  static async of(entry: GraphEntry, bytes: Uint8Array, options: RuntimeOptions): Promise<Session> {
    const { traceFolder, repetitions = 1 } = options;
    const once = decodeModel(bytes);
    const model = repetitions === 1 ? once : repeated(once, repetitions);
    const inputs = new Set(model.inputs.map(({ name }) => name));
    const initializers = model.initializers.filter(({ name }) => !inputs.has(name));
    const session = await createSession(withSentinel(encodeModel({ ...model, initializers })), {
      ...sessionOptions(options),
      ...(traceFolder !== undefined && {
        enableProfiling: true,
        profileFilePrefix: join(traceFolder, entry.name),
      }),
    });
    return new Session(entry, session, repetitions, traceFolder);
  }

  /** Runs the graph and returns all its outputs, in new memory. */
  async run(feeds: Tensors): Promise<Tensors> {
    const names = this.session.outputNames.filter((name) => name !== sentinel);
    return this.#timed(() => this.session.run(feeds, names));
  }

  /**
   * Runs the graph and writes the outputs that `outputs` names into the memory of its tensors. That may be an
   * input's where the graph treats every element for itself.
   */
  async runInto(feeds: Tensors, outputs: Tensors): Promise<void> {
    await this.#timed(async () => {
      try {
        await this.session.run(feeds, { [sentinel]: null, ...outputs });
      } catch (error) {
        if (!stoppedAtSentinel(error)) throw error;
      }
    });
  }

  async #timed<T>(work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    this.seconds += (performance.now() - start) / 1000;
    this.runs += 1;
    return result;
  }

  /** Ends the trace that a session with a `traceFolder` writes; gives its path. */
  async endTrace(): Promise<string> {
    this.session.endProfiling();
    // ONNX Runtime appends the time to the name.
    const files = await readdir(this.traceFolder!);
    return join(
      this.traceFolder!,
      files.find((file) => file.startsWith(`${this.entry.name}_`))!,
    );
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}

export { replicaOptions as replicaRuntime } from '../engines/engineOptions.js';

/**
 * Memory patterns cost far more memory than they save time; so does an arena of each session where malloc
 * itself keeps what is freed. Threads that go on spinning after a run would take the cores from the next
 * session: a step alternates between many, and is 1.7 times as fast without.
 */
export function sessionOptions({
  provider,
  threads,
  device = 0,
  optimization = 'all',
}: RuntimeOptions): InferenceSession.SessionOptions {
  const chosen = provider === 'cuda' ? { name: provider, deviceId: device } : provider;
  return {
    executionProviders: provider === 'cpu' ? ['cpu'] : [chosen, 'cpu'],
    intraOpNumThreads: threadCount({ threads }),
    graphOptimizationLevel: optimization,
    enableMemPattern: false,
    enableCpuMemArena: !sharesFreedMemory(),
    extra: { session: { force_spinning_stop: '1' } },
  };
}

/** A float32 tensor over memory that it shares with the caller. */
export function floatTensor(data: Float32Array, shape: readonly number[]): Tensor {
  return newTensor('float32', data, shape);
}

export function scalarTensor(value: number): Tensor {
  return newTensor('float32', Float32Array.of(value), []);
}

export function float64Scalar(value: number): Tensor {
  return newTensor('float64', Float64Array.of(value), []);
}
