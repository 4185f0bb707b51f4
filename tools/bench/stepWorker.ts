/**
 * Our side of `bench step`: `node stepWorker.js FOLDER`, a program folder. One training step of all widths on
 * random images for each line of standard input (stepProcess.ts).
 */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { viewSize, type Config } from '../../src/config/schema.js';
import { replicaOptions } from '../../src/engines/engineOptions.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { Random } from '../../src/random.js';
import { readManifest } from '../../src/programs/readManifest.js';
import { openStep } from '../../src/training/steps/index.js';
import { TrainingState } from '../../src/training/state.js';

const folder = process.argv[2]!;
const manifest = await readManifest(folder);
const config = manifest.config as Config;
const { seed, batchSize, schedule } = config;
const engine = await openEngine(replicaOptions(config.runtime));
const state = new TrainingState(engine, manifest, config);
await state.initialize((await readSafetensors(join(folder, manifest.weights))).tensors, seed);
const step = await openStep(folder, manifest, config, state);
const views = [randomImages(0), randomImages(1)] as const;

print({ ready: `slimclr, target ${manifest.target}` });
for await (const _ of createInterface({ input: process.stdin })) {
  const start = performance.now();
  const { losses } = await step.run({
    batches: [{ views, labels: null }],
    learningRate: schedule.peak,
    allWidths: true,
    steps: { all: 0, narrow: 0, total: 1 },
  });
  const seconds = (performance.now() - start) / 1000;
  print({ seconds, losses: manifest.labels.map((label) => losses[label]!.loss) });
}

/** `[N, 3, S, S]`, standard normal. */
function randomImages(view: number): Float32Array {
  const random = new Random(seed, view);
  return Float32Array.from({ length: batchSize * 3 * viewSize(config) ** 2 }, () => random.normal());
}

function print(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
