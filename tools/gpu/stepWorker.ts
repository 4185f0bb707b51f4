/**
 * Our side of `npm run gpu`: `node stepWorker.js FOLDER`, a program folder. One training step of all widths on random
 * images for each line of standard input (../bench/stepProcess.ts).
 */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { viewSize, type Config } from '../../src/config/schema.js';
import type { Engine } from '../../src/engines/engine.js';
import { replicaOptions } from '../../src/engines/engineOptions.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { SlimclrError } from '../../src/errors.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { Random } from '../../src/random.js';
import { readManifest } from '../../src/programs/readManifest.js';
import { openStep } from '../../src/training/steps/index.js';
import { TrainingState } from '../../src/training/state.js';

const folder = process.argv[2]!;
const manifest = await readManifest(folder);
const config = manifest.config as Config;
const { seed, batchSize, method, schedule } = config;
const labels = method.kind === 'supervised' ? randomLabels(method.classes) : null;
const views = [randomImages(0), randomImages(1)] as const;

try {
  const engine = await openEngine(replicaOptions(config.runtime));
  const traffic = counted(engine);
  const state = new TrainingState(engine, manifest, config);
  await state.initialize((await readSafetensors(join(folder, manifest.weights))).tensors, seed);
  const step = await openStep(folder, manifest, config, state);
  print({ ready: `slimclr, target ${manifest.target}, onnxruntime ${engine.facts.version}` });
  for await (const _ of createInterface({ input: process.stdin })) {
    const before = { ...traffic };
    const start = performance.now();
    const { losses } = await step.run({
      batches: [{ views, labels }],
      learningRate: schedule.peak,
      allWidths: true,
      steps: { all: 0, narrow: 0, total: 1 },
    });
    const seconds = (performance.now() - start) / 1000;
    const [written, read] = [traffic.written - before.written, traffic.read - before.read];
    print({
      seconds,
      losses: manifest.labels.map((label) => losses[label]!.loss),
      traffic: { written, read },
    });
  }
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

/** Counts the bytes that an engine is given and asked for from now on. */
function counted(engine: Engine): { written: number; read: number } {
  const traffic = { written: 0, read: 0 };
  const write: Engine['write'] = engine.write.bind(engine);
  const read: Engine['read'] = engine.read.bind(engine);
  engine.write = (memory, values, offset) => {
    traffic.written += values.byteLength;
    return write(memory, values, offset);
  };
  engine.read = async (memory, offset, count) => {
    const values = await read(memory, offset, count);
    traffic.read += values.byteLength;
    return values;
  };
  return traffic;
}

/** `[N, 3, S, S]`, standard normal. */
function randomImages(view: number): Float32Array {
  const random = new Random(seed, view);
  return Float32Array.from({ length: batchSize * 3 * viewSize(config) ** 2 }, () => random.normal());
}

function randomLabels(classes: number): Int32Array {
  const random = new Random(seed, 2);
  return Int32Array.from({ length: batchSize }, () => random.integer(classes));
}

function print(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
