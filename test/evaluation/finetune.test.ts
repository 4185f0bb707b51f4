import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { evaluateFinetune } from '../../src/evaluation/evaluateFinetune.js';
import { FrozenEncoder } from '../../src/evaluation/features.js';
import { FinetunedNetwork } from '../../src/evaluation/finetune.js';
import { networkOf } from '../../src/methods/index.js';
import { bindWeights } from '../../src/programs/bindWeights.js';
import { finetuneProgram } from '../../src/programs/finetune.js';
import { Random } from '../../src/random.js';
import { int64Vector } from '../../src/engines/hostGraph.js';
import { cpuTarget } from '../../src/targets/cpu/index.js';
import { portable } from '../../src/targets/portable.js';
import { expectClose } from '../support/expectClose.js';
import { rejection } from '../support/rejection.js';
import { runGraph } from '../support/runGraph.js';
import { normal } from '../support/samples.js';
import { makeTinyRun, tinyConfig, trainedWeights, type TinyRun } from './tinyRun.js';
import { removeFolder } from '../support/removeFolder.js';

describe('FinetunedNetwork: ResNet-20 at width 0.5, 3 classes', function () {
  this.timeout(30_000);
  const config = tinyConfig();
  const network = networkOf(config);
  const weights = trainedWeights(network);
  const subject = { network, config, width: 0.5, weights, classes: 3 };
  const images = Float32Array.from(normal(new Random(1), 8 * 3 * 256));
  const labels = Int32Array.of(0, 1, 2, 2, 1, 0, 1, 1);
  const rates = { encoder: 0.01, classifier: 0.1 };

  async function featuresOf(finetuned: FinetunedNetwork): Promise<number[]> {
    const encoder = await finetuned.encoder();
    const features = await encoder.features(images, 8);
    await encoder.close();
    return Array.from(features);
  }

  it('before any step: the encoder is the run’s at that width, the classifier 0', async () => {
    const finetuned = await FinetunedNetwork.open(subject, portable);
    const encoder = await FrozenEncoder.open(network, config, 0.5, weights);
    expect(await featuresOf(finetuned)).to.deep.equal(Array.from(await encoder.features(images, 8)));
    const { channels, weight, bias } = await finetuned.classifier();
    expect(channels).to.equal(32);
    expect([...weight, ...bias].every((value) => value === 0)).to.equal(true);
    await Promise.all([finetuned.close(), encoder.close()]);
  });

  it('one step: p - rate g with a rate of its own for the classifier, statistics replaced, the run’s weights kept', async () => {
    const before = new Map([...weights].map(([name, { data }]) => [name, Array.from(data as Float32Array)]));
    const bound = bindWeights(finetuneProgram(network, config, 0.5, 3).graph, weights);
    const defaults = Object.fromEntries(
      Array.from(bound.defaults, ([{ name }, fallback]) => [
        name,
        fallback.kind === 'inline' ? Array.from(fallback.values as Float32Array) : [],
      ]),
    );
    const found = await runGraph(bound, {
      ...defaults,
      images: Array.from(images),
      labels: Array.from(labels),
      'classifier.weight': new Array<number>(96).fill(0),
      'classifier.bias': [0, 0, 0],
    });
    const finetuned = await FinetunedNetwork.open(subject, portable);
    await finetuned.step(images, int64Vector(labels), rates);
    const { weight } = await finetuned.classifier();
    expectClose([...weight], found['grad.classifier.weight']!.map((g) => -0.1 * g), 1e-6); // prettier-ignore
    const second = await FinetunedNetwork.open(subject, portable);
    // At a classifier of 0 the encoder has no gradient yet: the second step is the first that moves it.
    for (let i = 0; i < 2; i++) await second.step(images, int64Vector(labels), rates);
    const one = await featuresOf(finetuned);
    const two = await featuresOf(second);
    expect(one, 'statistics').to.not.deep.equal(
      await featuresOf(await FinetunedNetwork.open(subject, portable)),
    );
    expect(two, 'weights').to.not.deep.equal(one);
    for (const [name, { data }] of weights)
      expect(Array.from(data as Float32Array)).to.deep.equal(before.get(name));
    await Promise.all([finetuned.close(), second.close()]);
  });

  it('cpu target: three steps give what portable gives', async () => {
    const trained = [];
    for (const target of [portable, cpuTarget(16)]) {
      const finetuned = await FinetunedNetwork.open(subject, target);
      for (let i = 0; i < 3; i++) await finetuned.step(images, int64Vector(labels), rates);
      trained.push([...(await finetuned.classifier()).weight, ...(await featuresOf(finetuned))]);
      await finetuned.close();
    }
    expectClose(trained[1]!, trained[0]!, 1e-3);
  });

  it('rates that overflow: SlimclrError that names the width', async () => {
    const finetuned = await FinetunedNetwork.open(subject, portable);
    const run = async () => {
      for (let i = 0; i < 5; i++) {
        await finetuned.step(images, int64Vector(labels), { encoder: 1e30, classifier: 1e30 });
      }
    };
    const error = await rejection(run());
    await finetuned.close();
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.match(
      /^fine-tuning of width 0\.5 diverged: its loss is .*smaller learning rates/,
    );
  });

  it('a last step that overflows: the same error where the encoder is asked for', async () => {
    const finetuned = await FinetunedNetwork.open(subject, portable);
    await finetuned.step(images, int64Vector(labels), { encoder: 0, classifier: Infinity });
    const error = await rejection(finetuned.encoder());
    await finetuned.close();
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.match(/^fine-tuning of width 0\.5 diverged: a weight is not finite/);
  });
});

describe('evaluateFinetune: red and blue images', function () {
  this.timeout(60_000);
  let run: TinyRun;
  beforeEach(async () => (run = await makeTinyRun()));
  afterEach(() => removeFolder(dirname(run.folder)));

  it('half of the labels, both encoders: tells red from blue, better than no training; the result is the file', async () => {
    const options = { testSource: run.test, labels: 0.5, batchSize: 4, baseline: true };
    const untrained = await evaluateFinetune(run.folder, {
      ...options,
      epochs: 1,
      encoderRate: 0,
      classifierRate: 0,
    });
    const result = await evaluateFinetune(run.folder, {
      ...options,
      epochs: 40,
      encoderRate: 0.01,
      classifierRate: 0.1,
    });
    expect(result).to.include({
      kind: 'finetune',
      labels: 0.5,
      trainImages: 12,
      testImages: 12,
      batchSize: 4,
    });
    expect(result.widths.map(({ label }) => label)).to.deep.equal(['w1.00', 'w0.50']);
    for (const [i, { trained, random }] of result.widths.entries()) {
      expect([trained.top1, random!.top1]).to.deep.equal([1, 1]);
      expect(untrained.widths[i]!.trained.top1).to.equal(0.5);
    }
    const file = join(run.folder, 'results', 'finetune-50.json');
    expect(JSON.parse(await readFile(file, 'utf8'))).to.deep.equal(result);
  });

  it('one width alone gives the same as among others', async () => {
    const options = { testSource: run.test, labels: 0.5, batchSize: 4, epochs: 3 };
    const { widths } = await evaluateFinetune(run.folder, options);
    const alone = await evaluateFinetune(run.folder, { ...options, widths: [0.5] });
    expect(alone.widths).to.deep.equal(widths.slice(1));
  });

  it('every step is reported; aborted, it ends with the reason after that step and leaves no result', async () => {
    const controller = new AbortController();
    const steps: string[] = [];
    const error = await rejection(
      evaluateFinetune(run.folder, {
        testSource: run.test,
        labels: 0.5,
        batchSize: 4,
        epochs: 3,
        signal: controller.signal,
        onProgress: (message) => {
          if (!message.startsWith('fine-tuning')) return;
          if (steps.push(message) === 2) controller.abort(new Error('enough'));
        },
      }),
    );
    expect(error.message).to.equal('enough');
    expect(steps).to.deep.equal([1, 2].map((step) => `fine-tuning, trained encoder, step ${step} of 9`));
    expect(existsSync(join(run.folder, 'results'))).to.equal(false);
  });

  it('a width that the run lacks, labels and settings out of range: UsageError', async () => {
    const options = { testSource: run.test, labels: 0.5 };
    for (const [changes, message] of [
      [{ widths: [0.3] }, /no width 0\.3; accepted: 1, 0\.5/],
      [{ widths: [] }, /no width is chosen/],
      [{ labels: 2 }, /the share is 2/],
      [{ epochs: 0 }, /epochs is 0/],
      [{ encoderRate: -1 }, /encoderRate is -1/],
    ] as const) {
      const error = await rejection(evaluateFinetune(run.folder, { ...options, ...changes }));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.match(message);
    }
  });
});
