import { fork } from 'node:child_process';
import { configSchema, type Config } from '../config/schema.js';
import type { EngineOptions } from '../engines/engineOptions.js';
import type { Trial, TrialMessage } from './engineTrial.js';

type Runtime = Config['runtime'];

/** What an engine can do on this machine: each provider was tried in a process of its own. */
export interface EngineReport {
  readonly engine: Runtime['engine'];
  /** What was looked at: `that of onnxruntime-node`, the path of a library, or the name or path of an interpreter. */
  readonly source: string;
  /** Of its ONNX Runtime, e.g. `1.29.0`; null where it does not open. */
  readonly version: string | null;
  /** Of the interpreter, e.g. `3.11.2`; null for an engine without one. */
  readonly python: string | null;
  /** Whether it has the gradient kernels of onnxruntime-training, which target `ort-training` is made of. */
  readonly trainingOperators: boolean;
  readonly providers: readonly ProviderReport[];
}

export interface ProviderReport {
  readonly name: Runtime['provider'];
  /** Why the trial training graph does not run there, or runs wrong, in one line; null where it trains. */
  readonly failure: string | null;
}

/** A provider that has not answered by then hangs: libraries of CUDA are gigabytes. Milliseconds. */
const trialTimeout = 180_000;
/** Largest |difference to the cpu| over the largest |cpu| that passes: float32 in another order of summation. */
const trialTolerance = 1e-3;

/** The providers that a config can name. */
const providerNames = configSchema.shape.runtime.unwrap().shape.provider.unwrap().options;

/**
 * Trains a small graph on each provider of each engine. `python`: the interpreter of that engine; `library`: the path of
 * another ONNX Runtime for the one in process, '' for the one that onnxruntime-node ships.
 */
export async function engineReports(python: string, library: string): Promise<EngineReport[]> {
  const source = library === '' ? 'that of onnxruntime-node' : library;
  const inProcess = await tryEngine('in-process', source, providerNames, (provider) => ({
    engine: 'in-process',
    library,
    provider,
    threads: 1,
  }));
  const ofPython = await tryEngine('python', python, ['cpu', 'cuda'], (provider) => ({
    engine: 'python',
    python,
    provider,
    threads: 1,
  }));
  return [inProcess, ofPython];
}

async function tryEngine(
  engine: Runtime['engine'],
  source: string,
  providers: readonly Runtime['provider'][],
  options: (provider: Runtime['provider']) => EngineOptions,
): Promise<EngineReport> {
  const expected = await runTrial(options('cpu'));
  const reports: ProviderReport[] = [];
  for (const name of providers) {
    const trial = name === 'cpu' ? expected : await runTrial(options(name));
    reports.push({ name, failure: difference(trial, expected) });
  }
  const { version, python, trainingOperators } =
    'error' in expected ? { version: null, python: null, trainingOperators: false } : expected;
  return { engine, source, version, python, trainingOperators, providers: reports };
}

function runTrial(options: EngineOptions): Promise<TrialMessage> {
  return new Promise((resolve) => {
    // Providers write to stderr on their own what the message says anyway.
    const child = fork(new URL('./engineTrial.js', import.meta.url), [JSON.stringify(options)], {
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

/** What is wrong with a trial; null where it gives the numbers of the cpu. */
function difference(trial: TrialMessage, expected: Trial | { readonly error: string }): string | null {
  if ('error' in trial) return withoutPlace(trial.error);
  if ('error' in expected) return 'the cpu provider gives nothing to compare with';
  const scale = Math.max(...expected.values.map(Math.abs));
  const error = Math.max(...expected.values.map((value, i) => Math.abs(value - trial.values[i]!))) / scale;
  return error <= trialTolerance ? null : `wrong numbers: relative error ${error.toPrecision(2)}`;
}

/** The part of a message of ONNX Runtime that is about the cause, without source positions, in one line. */
function withoutPlace(message: string): string {
  return message
    .replace(/^.*was false\. /s, '')
    .replace(/\s+/g, ' ')
    .trim();
}
