import { expect } from 'chai';
import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { viewSize, type Config, type ConfigInput } from '../../src/config/schema.js';
import type { Engine } from '../../src/engines/engine.js';
import { replicaOptions } from '../../src/engines/engineOptions.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { shuffledPositions } from '../../src/data/batchOrder.js';
import { buildPrograms } from '../../src/methods/index.js';
import { elementCount } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { Random } from '../../src/random.js';
import { readManifest } from '../../src/programs/readManifest.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { TrainingState } from '../../src/training/state.js';
import { openStep } from '../../src/training/steps/index.js';
import { PreparedRuns } from '../../src/training/steps/preparedRuns.js';
import type { StepResult } from '../../src/training/steps/step.js';
import { StepGraphs } from '../../src/training/steps/stepGraphs.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { normal } from '../support/samples.js';
import { expectSameWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

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
  after(() => removeFolder(folder));

  /** Four micro-batches a step, three steps an epoch. */
  const configOf = (replicas: number, input: ConfigInput) =>
    tinyConfig(source, { accumulation: 4, batchSize: 4, epochs: 2, ...input, runtime: { replicas } });

  /** Opens a step and gives it with its state, in which training begins; `apart`: on an engine that shares no memory. */
  async function open(programs: string, config: Config, { apart = false } = {}) {
    const manifest = await readManifest(programs);
    const engine: { share?: unknown } & Engine = await openEngine(replicaOptions(config.runtime));
    if (apart) delete engine.share;
    const state = new TrainingState(engine, manifest, config);
    await state.initialize((await readSafetensors(join(programs, manifest.weights))).tensors, config.seed);
    return { state, step: await openStep(programs, manifest, config, state) };
  }

  /** The keys of a step `[A N, D]` that batches of views 2 have, computed by the graph alone from the state's weights. */
  async function keysByHand(programs: string, config: Config, views2: readonly Float32Array[]) {
    const manifest = await readManifest(programs);
    const { state, step } = await open(programs, config);
    const { engine } = state;
    const graphs = await StepGraphs.open(engine, programs, manifest, ['key']);
    try {
      const runs = new PreparedRuns(graphs, state);
      const size = viewSize(config);
      const place = (...shape: number[]) => ({
        ...{ memory: engine.allocate('float32', elementCount(shape)), offset: 0, shape },
      });
      const images = place(config.batchSize, 3, size, size);
      const keys = place(config.batchSize, 16);
      const rows: Float32Array[] = [];
      for (const view of views2) {
        await engine.write(images.memory, view);
        await graphs.run([runs.get('key', { images }, { keys })]);
        const values = (await engine.read(keys.memory)).slice();
        for (let i = 0; i < config.batchSize; i++) rows.push(values.subarray(16 * i, 16 * (i + 1)));
      }
      return rows;
    } finally {
      await graphs.close();
      await step.close();
      await engine.close();
    }
  }

  /** Micro-batches with their images of view 2 in the order of a permutation. */
  function shuffled(batches: ReturnType<typeof microBatches>, positions: Uint32Array) {
    const { length: size } = batches[0]!.views[1];
    const image = size / (positions.length / batches.length);
    const all = Float32Array.from(batches.flatMap(({ views }) => [...views[1]]));
    return batches.map((batch, i) => {
      const count = positions.length / batches.length;
      const own = positions.slice(i * count, (i + 1) * count);
      const view2 = new Float32Array(size);
      for (const [row, at] of own.entries())
        view2.set(all.subarray(at * image, (at + 1) * image), row * image);
      return { ...batch, views: [batch.views[0], view2] as const, shuffled: own };
    });
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
    it(`${method.kind}: two or four replicas, sharing a state or with one each, compute what one does, to rounding`, async () => {
      const programs = join(folder, method.kind);
      const config = configOf(1, { method });
      await buildPrograms(config, programs);
      for (const [replicas, apart] of [
        [2, false],
        [2, true],
        [4, false],
      ] as const) {
        const [one, many] = [
          await open(programs, config),
          await open(programs, configOf(replicas, { method }), { apart }),
        ];
        expect(many.state.share() === null).to.equal(apart);
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

  it('shuffled keys: those of the permuted batches, each with the query of its image, in one, two and four replicas', async () => {
    const programs = join(folder, 'shuffled');
    const config = configOf(1, { method: methods[0]! });
    await buildPrograms(config, programs);
    const batches = microBatches(config, 7);
    const positions = shuffledPositions(config.seed, 3, 16);
    const permuted = shuffled(batches, positions);
    const byHand = await keysByHand(programs, config, permuted.map(({ views }) => views[1])); // prettier-ignore
    const expected: Float32Array[] = [];
    for (const [row, position] of positions.entries()) expected[position] = byHand[row]!;
    const plain = await keysByHand(programs, config, batches.map(({ views }) => views[1])); // prettier-ignore
    const results: StepResult[] = [];
    const queues: Float32Array[] = [];
    for (const [replicas, apart] of [
      [1, false],
      [2, false],
      [2, true],
      [4, false],
    ] as const) {
      const { state, step } = await open(programs, configOf(replicas, { method: methods[0]! }), { apart });
      try {
        const steps = { all: 0, narrow: 0, total: 2 };
        results.push(await step.run({ batches: permuted, learningRate: 0.01, allWidths: true, steps }));
        queues.push((await state.queue!.read('queue')).slice(0, 16 * 16));
      } finally {
        await step.close();
        await state.engine.close();
      }
    }
    for (const [i, values] of queues.entries()) {
      const rows = (key: Float32Array, row: number) =>
        Math.max(...key.map((value, j) => Math.abs(value - values[16 * row + j]!)));
      expect(Math.max(...expected.map(rows)), `${i}`).to.be.below(1e-5);
      expect(Math.max(...plain.map(rows)), `${i}: batch norm saw other images together`).to.be.above(1e-3);
    }
    for (const result of results.slice(1)) {
      const [a, b] = [leaves(results[0]), leaves(result)];
      for (const [i, value] of a.entries()) expect(b[i]).to.be.closeTo(value, 1e-5 * Math.abs(value) + 1e-5);
    }
  });

  it('interrupted and resumed: the same weights bit for bit; with another number of replicas a line says that bits differ, and the numbers differ by rounding', async () => {
    const config = configOf(2, { method: methods[0]! });
    const controller = new AbortController();
    const [whole, parts, others] = [join(folder, 'whole'), join(folder, 'parts'), join(folder, 'others')];
    const expected: number[] = [];
    const into = (losses: number[]) => (event: TrainingEvent) => {
      if (event.type === 'step') losses[event.step] = event.losses['w1.00']!.loss;
    };
    expect(await pretrain({ config, runFolder: whole, onEvent: into(expected) })).to.equal('done');
    const losses: number[] = [];
    const onEvent = (event: TrainingEvent) => {
      into(losses)(event);
      if (event.type === 'step' && event.step === 3) controller.abort();
    };
    const first = { config, runFolder: parts, onEvent, signal: controller.signal };
    expect(await pretrain(first)).to.equal('interrupted');
    cpSync(parts, others, { recursive: true });
    expect(await pretrain({ config, runFolder: parts, resume: true })).to.equal('done');
    await expectSameWeights(parts, whole);

    const notices: string[] = [];
    const onNotice = (notice: string) => notices.push(notice);
    const resumed = { runFolder: others, resume: true, onEvent: into(losses), onNotice };
    expect(await pretrain({ ...resumed, config: configOf(4, { method: methods[0]! }) })).to.equal('done');
    expect(notices).to.deep.equal([
      'runtime.replicas is 4, 2 at the checkpoint: from here on the numbers differ in their last bits ' +
        'from those of a run that was not interrupted',
    ]);
    expect(losses).to.have.length(expected.length);
    for (const [step, loss] of expected.entries()) expect(losses[step]).to.be.closeTo(loss, 1e-3);
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
