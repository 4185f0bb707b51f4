import { expect } from 'chai';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import type { Engine } from '../../src/engines/engine.js';
import type { InProcessEngine } from '../../src/engines/inProcessEngine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import type { WebGpuRoom } from '../../src/engines/webgpu/webGpuRoom.js';
import { buildPrograms } from '../../src/methods/index.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { readManifest } from '../../src/programs/readManifest.js';
import { Random } from '../../src/random.js';
import { TrainingState } from '../../src/training/state.js';
import { openStep } from '../../src/training/steps/index.js';
import { noWebGpu } from '../support/webGpu.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

/** Steps of ResNet-20 at two widths on four images of 8 x 8; a software device takes seconds for each. */
const steps = 3;
const configOf = (method: NonNullable<ConfigInput['method']>): Config =>
  tinyConfig('unused', {
    batchSize: 4,
    data: { imageSize: 8 },
    method,
    runtime: { provider: 'webgpu' },
  });
/** The rate is small where rounding grows: SimCLR on a batch of four multiplies any difference. */
const trainings = [
  { config: configOf({ kind: 'moco-v2', queueSize: 256, dimension: 16 }), learningRate: 0.05 },
  { config: configOf({ kind: 'simclr', hiddenDimension: 24, dimension: 16 }), learningRate: 0.001 },
] as const;

/** In float64. */
const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);

const images = (step: number, view: number) => {
  const random = new Random(step, view);
  return Float32Array.from({ length: 4 * 3 * 8 * 8 }, () => random.normal());
};

describe('training on a WebGPU device', function () {
  this.timeout(240_000);
  let folder: string;

  before(async function () {
    const reason = await noWebGpu();
    if (reason !== null) {
      this.test!.parent!.title += ` (not here: ${reason})`;
      return this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'slimclr-webgpu-'));
  });
  after(() => folder && removeFolder(folder));

  /** Losses of some steps, and bytes that crossed between host and device in each, beside the images. */
  async function train(
    { config, learningRate }: (typeof trainings)[number],
    engine: Engine,
    traffic: () => number,
  ) {
    const programs = join(folder, config.method.kind);
    const manifest = await readManifest(programs);
    const state = new TrainingState(engine, manifest, config);
    await state.initialize((await readSafetensors(join(programs, manifest.weights))).tensors, 1);
    const step = await openStep(programs, manifest, config, state);
    const losses: number[] = [];
    const bytes: number[] = [];
    for (let i = 0; i < steps; i++) {
      const before = traffic();
      const views = [images(i, 0), images(i, 1)] as const;
      const result = await step.run({
        batches: [{ views, labels: null }],
        learningRate,
        allWidths: true,
        steps: { all: i, narrow: i, total: steps },
      });
      losses.push(...Object.values(result.losses).map(({ loss }) => loss));
      bytes.push(traffic() - before - 2 * views[0].byteLength);
    }
    await step.close();
    const { parameters } = state;
    const values = await parameters.readAll();
    await engine.close();
    const tensors = parameters.entries.map(({ name }) => [name, parameters.viewOf(name, values)] as const);
    return { losses, bytes, parameters: new Map(tensors) };
  }

  for (const training of trainings) {
    const { config } = training;
    it(`${config.method.kind}: the losses and parameters of the CPU; a step moves its images and some scalars`, async () => {
      await buildPrograms(config, join(folder, config.method.kind));
      const device = await openEngine(config.runtime);
      const { traffic } = (device as InProcessEngine).room as WebGpuRoom;
      const onDevice = await train(training, device, () => traffic.read + traffic.written);
      const onCpu = await train(training, await openEngine({ provider: 'cpu', threads: 1 }), () => 0);
      for (const [i, loss] of onCpu.losses.entries()) {
        expect(onDevice.losses[i]).to.be.closeTo(loss, 1e-4 * Math.abs(loss));
      }
      let [differences, all] = [0, 0];
      const differing: string[] = [];
      for (const [name, values] of onCpu.parameters) {
        const found = onDevice.parameters.get(name)!;
        const difference = squares(values.map((value, i) => value - found[i]!));
        differences += difference;
        all += squares(values);
        if (!(difference <= 1e-10 * squares(values))) {
          const i = values.findIndex((value, i) => !(Math.abs(value - found[i]!) <= 1e-5 * Math.abs(value)));
          differing.push(`${name}[${i}] ${found[i]} instead of ${values[i]}`);
        }
      }
      expect(Math.sqrt(differences / all), differing.join(', ')).to.be.lessThan(1e-5);
      // Memory is zeroed when it is first used; from then on nothing but rates and losses is left.
      for (const each of onDevice.bytes.slice(1)) expect(each).to.be.within(1, 64);
    });
  }
});
