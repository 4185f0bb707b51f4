import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { viewSize, type Config, type ConfigInput } from '../../src/config/schema.js';
import { replicaOptions } from '../../src/engines/engineOptions.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { buildPrograms } from '../../src/methods/index.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { Random } from '../../src/random.js';
import { readManifest } from '../../src/programs/readManifest.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { TrainingState } from '../../src/training/state.js';
import { openStep } from '../../src/training/steps/index.js';
import type { StepResult } from '../../src/training/steps/step.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { normal } from '../support/samples.js';
import { expectSameWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';

const head = { hiddenDimension: 24, dimension: 16, headInitialization: 'uniform' } as const;

describe('replicas', function () {
  this.timeout(120_000);
  let folder: string;
  let source: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-replicas-'));
    source = join(folder, 'images');
    await writeImages(source, 24, 1);
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Four micro-batches a step, three steps an epoch. */
  const configOf = (replicas: number, input: ConfigInput) =>
    tinyConfig(source, { accumulation: 4, batchSize: 4, epochs: 2, ...input, runtime: { replicas } });

  /** Opens a step and gives it with its state, in which training begins. */
  async function open(programs: string, config: Config) {
    const manifest = await readManifest(programs);
    const engine = await openEngine(replicaOptions(config.runtime));
    const state = new TrainingState(engine, manifest, config);
    await state.initialize((await readSafetensors(join(programs, manifest.weights))).tensors, config.seed);
    return { state, step: await openStep(programs, manifest, config, state) };
  }

  /** Random images for a step, with labels. */
  function microBatches({ accumulation, batchSize, ...config }: Config, seed: number) {
    const random = new Random(seed);
    const size = batchSize * 3 * viewSize(config) ** 2;
    const view = () => Float32Array.from(normal(random, size));
    return Array.from({ length: accumulation }, (_, i) => ({
      views: [view(), view()] as const,
      labels: Int32Array.from({ length: batchSize }, (_, j) => (i + j) % 2),
    }));
  }

  const methods: readonly NonNullable<ConfigInput['method']>[] = [
    { kind: 'moco-v2', queueSize: 64, dimension: 16 },
    { kind: 'moco-v3', ...head },
    { kind: 'simclr', ...head },
    { kind: 'supervised', classes: 2 },
  ];
  for (const method of methods) {
    it(`${method.kind}: two or four replicas compute what one does, to rounding`, async () => {
      const programs = join(folder, method.kind);
      const config = configOf(1, { method });
      await buildPrograms(config, programs);
      for (const replicas of [2, 4]) {
        const [one, many] = [
          await open(programs, config),
          await open(programs, configOf(replicas, { method })),
        ];
        try {
          for (const i of [0, 1]) {
            // From the same weights each time: rounding turns a ReLU over now and then, which later steps would show.
            for (const [j, arena] of one.state.arenas.entries())
              await arena.writeAll(await many.state.arenas[j]!.readAll());
            const steps = { all: i, narrow: i, total: 2 };
            const batches = microBatches(config, i);
            const input = { batches, learningRate: 0.01, allWidths: true, steps, diagnose: true };
            expectClose(await one.step.run(input), await many.step.run(input));
            await expectSameTensors(one.state, many.state);
          }
        } finally {
          for (const { state, step } of [one, many]) {
            await step.close();
            await state.engine.close();
          }
        }
      }
    });
  }

  it('interrupted and resumed: the same weights bit for bit', async () => {
    const config = configOf(2, { method: methods[0]! });
    const controller = new AbortController();
    const onEvent = (event: TrainingEvent) => {
      if (event.type === 'step' && event.step === 3) controller.abort();
    };
    const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')];
    const first = { config, runFolder: parts, onEvent, signal: controller.signal };
    expect(await pretrain(first)).to.equal('interrupted');
    expect(await pretrain({ config, runFolder: parts, resume: true })).to.equal('done');
    expect(await pretrain({ config, runFolder: whole })).to.equal('done');
    await expectSameWeights(parts, whole);
  });

  it('a rate that blows up ends all of them, with width and step in the message', async () => {
    const schedule = { kind: 'cosine', peak: 1e30, warmup: 0.5 } as const;
    const config = configOf(4, { method: methods[0]!, schedule });
    const events: TrainingEvent[] = [];
    const onEvent = (event: TrainingEvent) => events.push(event);
    const error = await rejection(pretrain({ config, runFolder: join(folder, 'diverging'), onEvent }));
    expect(error.message).to.match(/^loss of width w1\.00 is (NaN|-?Infinity) at step \d+; /);
    expect(events.at(-1)).to.include({ type: 'stop', reason: 'diverged', message: error.message });
  });

  it('SEED with a teacher that is no model: ended with its error', async () => {
    const teacher = join(folder, 'broken.onnx');
    writeFileSync(teacher, 'no model');
    const method = { kind: 'seed', teacher, queueSize: 32, dimension: 16 } as const;
    const run = { config: configOf(2, { method }), runFolder: join(folder, 'broken') };
    expect((await rejection(pretrain(run))).message).to.match(/cannot be opened .*accepted: an ONNX file/);
  });
});

function expectClose(expected: StepResult, actual: StepResult): void {
  const [a, b] = [leaves(expected), leaves(actual)];
  expect(b).to.have.length(a.length).greaterThan(50);
  for (const [i, value] of a.entries()) expect(b[i]).to.be.closeTo(value, 1e-5 * Math.abs(value) + 1e-5);
}

async function expectSameTensors(expected: TrainingState, actual: TrainingState): Promise<void> {
  const found = await actual.tensors();
  for (const [name, { data }] of await expected.tensors()) {
    const values = found.get(name)!.data as Float32Array;
    let [difference, largest] = [0, 0];
    for (const [i, value] of (data as Float32Array).entries()) {
      difference = Math.max(difference, Math.abs(values[i]! - value));
      largest = Math.max(largest, Math.abs(value));
    }
    expect(difference, name).to.be.at.most(1e-4 * largest + 1e-4);
  }
}

/** The numbers of a tree, in order. */
function leaves(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [];
}
