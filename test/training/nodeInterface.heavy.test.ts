import { expect } from 'chai';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { viewSize, type Config, type ConfigInput } from '../../src/config/schema.js';
import type { Engine } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { buildPrograms } from '../../src/methods/index.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { readManifest } from '../../src/programs/readManifest.js';
import { Random } from '../../src/random.js';
import { TrainingState } from '../../src/training/state.js';
import { MethodStep } from '../../src/training/steps/methodStep.js';
import { writeTeacher } from '../../tools/reference/trainingStep.js';
import { NodeEngine } from '../support/nodeEngine.js';
import { normal } from '../support/samples.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

const steps = 10;
const head = { hiddenDimension: 24, dimension: 16, headInitialization: 'uniform' } as const;
const methods: readonly NonNullable<ConfigInput['method']>[] = [
  { kind: 'moco-v2', queueSize: 32, dimension: 16 },
  { kind: 'moco-v3', ...head },
  // At its own temperature rounding grows (engines.heavy.test.ts).
  { kind: 'simclr', ...head, temperature: 1 },
  { kind: 'supervised', classes: 2 },
  { kind: 'seed', teacher: 'teacher.onnx', queueSize: 32, dimension: 16 },
];

describe("the same training by the C interface and by onnxruntime-node's own", function () {
  this.timeout(240_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-node-'));
  });
  after(() => removeFolder(folder));

  /** Losses of every step by width and term. */
  async function losses(programs: string, config: Config, engine: Engine): Promise<number[][]> {
    const manifest = await readManifest(programs);
    const state = new TrainingState(engine, manifest, config);
    await state.initialize((await readSafetensors(join(programs, manifest.weights))).tensors, config.seed);
    const step = await MethodStep.open(programs, manifest, config, state);
    const { accumulation, batchSize } = config;
    const found: number[][] = [];
    for (let i = 0; i < steps; i++) {
      const random = new Random(config.seed, i);
      const view = () => Float32Array.from(normal(random, batchSize * 3 * viewSize(config) ** 2));
      const batches = Array.from({ length: accumulation }, () => ({
        views: [view(), view()] as const,
        labels: Int32Array.from({ length: batchSize }, (_, n) => n % 2),
      }));
      const counts = { all: i, narrow: i, total: steps };
      const result = await step.run({ batches, learningRate: 0.001, allWidths: true, steps: counts });
      found.push(Object.values(result.losses).flatMap(({ loss, terms }) => [loss, ...Object.values(terms)]));
    }
    await step.close();
    await engine.close();
    return found;
  }

  for (const method of methods) {
    it(`${method.kind}: losses of ${steps} steps equal to 1e-5`, async () => {
      const config = tinyConfig('unused', { method, accumulation: 2, runtime: { target: 'portable' } });
      const programs = join(folder, method.kind);
      await buildPrograms(config, programs);
      await writeTeacher(programs, config);
      const expected = await losses(programs, config, new NodeEngine());
      const found = await losses(programs, config, await openEngine({ provider: 'cpu', threads: 1 }));
      expect(expected).to.have.length(steps);
      for (const [i, step] of expected.entries()) {
        for (const [j, loss] of step.entries()) {
          expect(found[i]![j], `step ${i}`).to.be.closeTo(loss, 1e-5 * Math.abs(loss) + 1e-7);
        }
      }
    });
  }
});
