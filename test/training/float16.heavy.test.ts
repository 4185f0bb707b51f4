import { expect } from 'chai';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import type { Graph } from '../../src/graph/graph.js';
import { buildPrograms } from '../../src/methods/index.js';
import { readSafetensors, type TensorData } from '../../src/onnx/safetensors.js';
import { portable } from '../../src/targets/portable.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { lossScaleName } from '../../src/training/lossScale.js';
import { prepareRun } from '../../src/training/prepareRun.js';
import { trainingLoop } from '../../src/training/trainingLoop.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { roundedFloat16 } from '../support/float16.js';
import { rejection } from '../support/rejection.js';
import { expectSameWeights, finalWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

type StepEvent = Extract<TrainingEvent, { type: 'step' }>;

const valuesOf = (tensors: ReadonlyMap<string, TensorData>, name: string) =>
  Array.from(tensors.get(name)!.data as ArrayLike<number>);

describe('pretrain in float16', function () {
  this.timeout(240_000);
  let folder: string;
  let source: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-float16-'));
    source = join(folder, 'images');
    await writeImages(source, 24, 1);
  });
  after(() => removeFolder(folder));

  const float16 = (input: ConfigInput = {}, lossScale: { initial?: number; growthSteps?: number } = {}) =>
    tinyConfig(source, { ...input, runtime: { precision: 'float16', ...input.runtime, lossScale } });

  interface TrainOptions {
    /** The last step; default: that of the config. */
    readonly last?: number;
    readonly resume?: boolean;
    /** Round every operator, as a GPU does. */
    readonly rounded?: boolean;
    readonly steps?: StepEvent[];
  }

  /** Trains, in this process; gives the steps. */
  async function train(
    config: Config,
    name: string,
    { last = Infinity, resume = false, rounded = false, steps = [] }: TrainOptions = {},
  ): Promise<StepEvent[]> {
    const runFolder = join(folder, name);
    const controller = new AbortController();
    const run = await prepareRun({ config, runFolder, resume }, { onProgress: () => {}, onNotice: () => {} });
    const rewrite = (graph: Graph) => roundedFloat16(graph);
    const manifest = rounded
      ? await buildPrograms(config, run.programs, { ...portable, rewrite })
      : run.manifest;
    await trainingLoop(
      { ...run, manifest },
      {
        emit(event) {
          if (event.type !== 'step') return;
          steps.push(event);
          if (event.step === last) controller.abort();
        },
        openMonitor: () => Promise.reject(new Error('no monitor is asked for')),
        stop: controller.signal,
        checkpointAsked: () => false,
      },
    );
    return steps;
  }

  it('50 steps of ResNet-20: every loss within 1e-2 of float32, rounded as on a GPU or not', async () => {
    const input: ConfigInput = {
      epochs: 9,
      schedule: { kind: 'cosine', peak: 0.002, warmup: 0.1 },
      method: { kind: 'moco-v2', queueSize: 32, dimension: 32, headInitialization: 'uniform' },
    };
    const single = await train(tinyConfig(source, { ...input, runtime: { target: 'portable' } }), 'single');
    expect(single).to.have.length(54);
    for (const [title, half] of [
      ['not rounded', await train(float16(input, { initial: 2 ** 10 }), 'half')],
      ['rounded', await train(float16(input, { initial: 2 ** 10 }), 'rounded', { rounded: true })],
    ] as const) {
      expect(half).to.have.length(54);
      expect(half.map(({ losses }) => losses)).to.not.deep.equal(single.map(({ losses }) => losses));
      for (const [i, { step, losses, overflow }] of half.entries()) {
        expect(overflow, `overflow at step ${step}`).to.equal(undefined);
        for (const [label, { loss }] of Object.entries(losses)) {
          const expected = single[i]!.losses[label]!.loss;
          expect(loss, `${title}, step ${step}, ${label}`).to.be.closeTo(expected, 1e-2 * expected);
        }
      }
    }
  });

  it('a scale that is too large: skipped steps change neither parameters nor optimiser and halve it', async () => {
    const config = float16({}, { initial: 2 ** 24 });
    const [first] = await train(config, 'skipped', { last: 0 });
    expect(first).to.include({ lossScale: 2 ** 24, overflow: true });
    const start = await readSafetensors(join(folder, 'skipped', 'programs', 'weights.safetensors'));
    const tensors = await finalWeights(join(folder, 'skipped'));
    for (const [name, { data }] of tensors) {
      if (name.startsWith('velocity.'))
        expect(
          valuesOf(tensors, name).every((x) => x === 0),
          name,
        ).to.equal(true);
      if (!start.tensors.has(name) || /running_(mean|var)$/.test(name)) continue;
      expect(data, name).to.deep.equal(start.tensors.get(name)!.data);
    }
    // As in PyTorch: the images were seen, so statistics and queue have moved.
    const mean = 'encoder.bn1.w1.00.running_mean';
    expect(valuesOf(tensors, mean).some((x) => x !== 0)).to.equal(true);
    expect(valuesOf(tensors, lossScaleName)).to.deep.equal([2 ** 23, 0, 1, 0]);

    const steps = await train(config, 'skipped', { resume: true });
    const skipped = steps.filter(({ overflow }) => overflow);
    expect(steps.length - skipped.length).to.be.greaterThan(0);
    for (const [i, { lossScale, overflow }] of steps.entries()) {
      const before =
        i === 0 ? 2 ** 23 : steps[i - 1]!.overflow ? steps[i - 1]!.lossScale! / 2 : steps[i - 1]!.lossScale!;
      expect(lossScale, `step ${i}`).to.equal(before);
      expect(overflow).to.be.oneOf([true, undefined]);
    }
    const end = await finalWeights(join(folder, 'skipped'));
    const weight = 'encoder.conv1.weight';
    expect(valuesOf(end, weight)).to.not.deep.equal(valuesOf(tensors, weight));
    for (const name of end.keys()) expect(valuesOf(end, name).every(Number.isFinite), name).to.equal(true);
  });

  it('good steps double it, and the resumed run goes on bit for bit, scale and counts too', async () => {
    // Falls, is good for a while, grows again: the interruption is between two changes.
    const config = float16({}, { initial: 2 ** 20, growthSteps: 4 });
    const whole = await train(config, 'whole');
    const scales = whole.map(({ lossScale }) => lossScale!);
    expect(
      scales.some((scale, i) => i > 0 && scale > scales[i - 1]!),
      scales.join(),
    ).to.equal(true);
    await train(config, 'parts', { last: 9 });
    const rest = await train(config, 'parts', { resume: true });
    expect(rest.map(({ lossScale, overflow, losses }) => ({ lossScale, overflow, losses }))).to.deep.equal(
      whole.slice(10).map(({ lossScale, overflow, losses }) => ({ lossScale, overflow, losses })),
    );
    await expectSameWeights(join(folder, 'parts'), join(folder, 'whole'));
  });

  it('AdamW does not count skipped steps: its first update is of the size of the learning rate', async () => {
    const config = float16(
      {
        optimizer: { kind: 'adamw', weightDecay: 0 },
        schedule: { kind: 'constant', peak: 1e-3, warmup: 0 },
        epochs: 20,
      },
      { initial: 2 ** 40 },
    );
    const trial = await train(config, 'adamw-trial', { last: 60 });
    const last = trial.findIndex(({ overflow }) => !overflow);
    expect(last).to.be.greaterThan(2);
    await train(config, 'adamw', { last });
    const start = await readSafetensors(join(folder, 'adamw', 'programs', 'weights.safetensors'));
    const tensors = await finalWeights(join(folder, 'adamw'));
    const name = 'encoder.conv1.weight';
    const before = valuesOf(start.tensors, name);
    const moved = valuesOf(tensors, name).map((x, i) => Math.abs(x - before[i]!));
    for (const distance of moved) expect(distance).to.be.closeTo(1e-3, 5e-5);
  });

  it('activations that overflow: no loss, and neither queue nor running statistics take what is not finite', async () => {
    const std = [1e-6, 1e-6, 1e-6] as [number, number, number];
    const steps = await train(float16({ data: { std } }), 'infinite', { last: 3, rounded: true });
    expect(steps.map(({ overflow }) => overflow)).to.deep.equal([true, true, true, true]);
    expect(steps[0]!.losses['w1.00']!.loss).to.be.NaN;
    const tensors = await finalWeights(join(folder, 'infinite'));
    for (const name of tensors.keys()) {
      expect(valuesOf(tensors, name).every(Number.isFinite), name).to.equal(true);
    }
    expect(valuesOf(tensors, 'encoder.bn1.w1.00.running_mean').every((x) => x === 0)).to.equal(true);
    expect(valuesOf(tensors, lossScaleName)).to.deep.equal([2 ** 12, 0, 4, 0]);
  });

  it('a training that diverges: a skipped step until no scale is left, then an error with the last checkpoint kept', async () => {
    const config = float16({ schedule: { kind: 'cosine', peak: 1e30, warmup: 0.5 } }, { initial: 4 });
    const steps: StepEvent[] = [];
    const error = await rejection(train(config, 'diverging', { steps }));
    expect(error.message).to.match(
      /at step \d+.* loss scale 1; lower schedule\.peak or lengthen schedule\.warmup$/,
    );
    const scales = steps.filter(({ overflow }) => overflow).map(({ lossScale }) => lossScale);
    expect(scales).to.deep.equal([4, 2]);
    const kept = await finalWeights(join(folder, 'diverging')).catch(() => null);
    for (const { data } of kept?.values() ?? []) {
      expect((data as Float32Array).every(Number.isFinite)).to.equal(true);
    }
  });

  const head = { hiddenDimension: 24, dimension: 16, headInitialization: 'uniform' } as const;
  const methods: readonly NonNullable<ConfigInput['method']>[] = [
    // With keys in the same order, however many replicas there are.
    { kind: 'moco-v2', queueSize: 32, dimension: 16, shuffleKeys: 'on' },
    { kind: 'moco-v3', ...head },
    { kind: 'simclr', ...head },
    { kind: 'supervised', classes: 2 },
  ];
  for (const method of methods) {
    it(`${method.kind}, micro-batches: replicas end as one does, overflows too`, async () => {
      const config = (replicas: number) =>
        float16({ method, accumulation: 2, batchSize: 4, runtime: { replicas } }, { initial: 2 ** 24 });
      const alone = await train(config(1), `${method.kind}-alone`);
      const shared = await train(config(2), `${method.kind}-shared`);
      const overflows = (steps: readonly StepEvent[]) => steps.map(({ overflow }) => overflow === true);
      expect(overflows(shared)).to.deep.equal(overflows(alone));
      expect(overflows(alone)).to.include(true).and.include(false);
      for (const [i, { losses }] of shared.entries()) {
        const { loss } = alone[i]!.losses['w1.00']!;
        expect(losses['w1.00']!.loss, `step ${i}`).to.be.closeTo(loss, 1e-2 * Math.abs(loss));
      }
    });
  }
});
