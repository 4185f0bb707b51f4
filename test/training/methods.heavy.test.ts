import { expect } from 'chai';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import { UsageError } from '../../src/errors.js';
import { exportRun } from '../../src/export/exportRun.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { expectSameWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

/** Trains to the end and returns what happened. */
async function train(config: Config, runFolder: string): Promise<TrainingEvent[]> {
  const events: TrainingEvent[] = [];
  expect(await pretrain({ config, runFolder, onEvent: (event) => events.push(event) })).to.equal('done');
  return events;
}

const ofType = <T extends TrainingEvent['type']>(events: readonly TrainingEvent[], type: T) =>
  events.filter((event): event is Extract<TrainingEvent, { type: T }> => event.type === type);

const head = { hiddenDimension: 24, dimension: 16, headInitialization: 'uniform' } as const;

describe('pretrain, method by method', function () {
  this.timeout(120_000);
  let folder: string;
  let source: string;
  let teacher: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-methods-'));
    source = join(folder, 'images');
    await writeImages(source, 24, 1);
    const run = join(folder, 'teacher');
    const method = { kind: 'moco-v2', queueSize: 32, dimension: 16 } as const;
    await train(tinyConfig(source, { method, epochs: 2 }), run);
    const { models } = await exportRun(run, { widths: [1], head: true });
    teacher = join(run, models[0]!.file);
  });
  after(() => removeFolder(folder));

  const methods: readonly [own: string, () => NonNullable<ConfigInput['method']>][] = [
    ['info_nce', () => ({ kind: 'moco-v2', queueSize: 32, dimension: 16 })],
    ['info_nce', () => ({ kind: 'moco-v3', ...head })],
    ['nt_xent', () => ({ kind: 'simclr', ...head })],
    ['cross_entropy', () => ({ kind: 'supervised', classes: 2 })],
    ['seed', () => ({ kind: 'seed', teacher, queueSize: 32, dimension: 16 })],
  ];
  for (const [own, method] of methods) {
    const { kind } = method();
    const config = (input: ConfigInput = {}) =>
      tinyConfig(source, { method: method(), accumulation: 2, batchSize: 4, ...input });
    let undisturbed: Promise<TrainingEvent[]> | undefined;
    /** What happened in the run that the others are compared with. */
    const whole = () => (undisturbed ??= train(config(), join(folder, `${kind}-whole`)));

    it(`${kind}, micro-batches: all widths train, the narrow one after the slow start, taught by the wide one`, async () => {
      const steps = ofType(await whole(), 'step');
      expect(steps).to.have.length(18);
      for (const { losses, step } of steps) {
        expect(Object.keys(losses)).to.deep.equal(step < 6 ? ['w1.00'] : ['w1.00', 'w0.50']);
        for (const [label, { loss, terms, teacherEntropy }] of Object.entries(losses)) {
          const taught = label === 'w0.50';
          expect(Object.keys(terms)).to.deep.equal(taught ? [own, 'distillation'] : [own]);
          const expected = taught ? (terms[own]! + terms['distillation']!) / 2 : terms[own]!;
          expect(loss).to.be.closeTo(expected, 1e-4 * Math.abs(expected) + 1e-6);
          // What is left without it is a divergence, of predictions that are nearly uniform.
          expect(teacherEntropy !== undefined).to.equal(taught);
          if (taught) expect(terms['distillation']! - teacherEntropy!).to.be.within(-1e-4, 1.5);
        }
      }
    });

    it(`${kind}: monitor, diagnostics and an interruption change nothing: the same weights bit for bit`, async () => {
      const measured = config({
        monitor: { kind: 'knn', everyEpochs: 1, neighbours: 5 },
        diagnostics: { everySteps: 3 },
      });
      const parts = join(folder, `${kind}-parts`);
      const controller = new AbortController();
      const events: TrainingEvent[] = [];
      const onEvent = (event: TrainingEvent) => {
        events.push(event);
        if (event.type === 'step' && event.step === 8) controller.abort();
      };
      const first = { config: measured, runFolder: parts, onEvent };
      expect(await pretrain({ ...first, signal: controller.signal })).to.equal('interrupted');
      expect(await pretrain({ ...first, resume: true })).to.equal('done');
      const losses = (list: readonly TrainingEvent[]) => ofType(list, 'step').map((event) => event.losses);
      expect(losses(events)).to.deep.equal(losses(await whole()));
      await expectSameWeights(parts, join(folder, `${kind}-whole`));
      expect(ofType(events, 'knn').map(({ epoch, step }) => [epoch, step])).to.deep.equal([[0, 5], [1, 11], [2, 17]]); // prettier-ignore
      for (const { accuracies } of ofType(events, 'knn')) {
        expect(Object.keys(accuracies)).to.deep.equal(['w1.00', 'w0.50']);
        // Two classes by colour: more than 1 would be percentages taken for shares.
        expect(accuracies['w1.00']!.top1).to.be.within(0.2, 1);
      }
      const found = ofType(events, 'diagnostics');
      expect(found.map(({ step }) => step)).to.deep.equal([0, 3, 6, 9, 12, 15]);
      const { cosines, features, gradientNorms, queueAge } = found.at(-1)!.diagnostics;
      expect(cosines).to.have.length(1);
      expect(cosines[0]!.cosine).to.be.within(-1, 1).and.not.equal(0);
      expect(gradientNorms['w0.50']!.ratio).to.be.greaterThan(0);
      expect(Object.keys(features ?? {})).to.deep.equal(kind === 'supervised' ? [] : ['w1.00', 'w0.50']);
      expect(queueAge !== undefined).to.equal(kind === 'moco-v2' || kind === 'seed');
    });
  }

  it('one width: the plain method, without distillation', async () => {
    for (const [own, method] of methods) {
      const techniques = { slowStart: { kind: 'none' } } as const;
      const config = tinyConfig(source, { method: method(), techniques, widths: [1], epochs: 1 });
      for (const { losses } of ofType(
        await train(config, join(folder, `single-${config.method.kind}`)),
        'step',
      )) {
        expect(Object.keys(losses)).to.deep.equal(['w1.00']);
        expect(Object.keys(losses['w1.00']!.terms)).to.deep.equal([own]);
      }
    }
  });

  it('supervised without labels, or with another number of classes: refused before anything is written', async () => {
    const runFolder = join(folder, 'refused');
    const flat = join(source, 'red');
    const refused = async (input: string, classes: number) => {
      const config = tinyConfig(input, { method: { kind: 'supervised', classes } });
      const error = await rejection(pretrain({ config, runFolder }));
      expect(error).to.be.instanceOf(UsageError);
      return error.message;
    };
    expect(await refused(flat, 2)).to.include('have no labels');
    expect(await refused(source, 3)).to.include('2 classes, and method.classes is 3');
  });

  it('seed with a teacher that is missing, no model, or of another dimension', async () => {
    const failure = async (path: string, dimension = 16) => {
      const method = { kind: 'seed', teacher: path, queueSize: 32, dimension } as const;
      const runFolder = mkdtempSync(join(folder, 'seed-'));
      return rejection(pretrain({ config: tinyConfig(source, { method }), runFolder }));
    };
    expect((await failure(join(folder, 'nothing.onnx'))).message).to.include('nothing.onnx does not exist');
    expect((await failure(join(source, 'red', '0.png'))).message).to.match(
      /cannot be opened .*accepted: an ONNX file/,
    );
    expect((await failure(teacher, 12)).message).to.match(/gives \[8, 16\]; accepted: \[8, 12\]/);
  });
});
