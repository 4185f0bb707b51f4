import { expect } from 'chai';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import { LostEngineError } from '../../src/errors.js';
import { exportRun } from '../../src/export/exportRun.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { childProcesses, trainingProcesses } from '../support/childProcesses.js';
import { stockPython, trainingPython } from '../support/pythons.js';
import { rejection } from '../support/rejection.js';
import { expectSameWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

/** Of |difference to the engine in process|, relative: float32 in another order of summation. */
const tolerance = 1e-5;

/** Trains to the end; gives the losses of every step by width and term. */
async function losses(config: Config, runFolder: string): Promise<Record<string, number>[]> {
  const steps: Record<string, number>[] = [];
  const onEvent = (event: TrainingEvent) => {
    if (event.type !== 'step') return;
    const entries = Object.entries(event.losses).flatMap(([label, { loss, terms }]) => [
      [label, loss] as const,
      ...Object.entries(terms).map(([term, value]) => [`${label}.${term}`, value] as const),
    ]);
    steps.push(Object.fromEntries(entries));
  };
  expect(await pretrain({ config, runFolder, onEvent })).to.equal('done');
  return steps;
}

const head = { hiddenDimension: 24, dimension: 16, headInitialization: 'uniform' } as const;
const engines = [
  ['onnxruntime', stockPython(), 'portable'],
  ['onnxruntime-training', trainingPython(), 'ort-training'],
] as const;

describe('the same training on every engine', function () {
  this.timeout(240_000);
  let folder: string;
  let source: string;
  let teacher: string;

  /**
   * 12 steps of two widths, of standard operators unless told. The rate is small: at 0.05 SimCLR on batches of 8 multiplies any
   * difference by 4 a step, and 1e-7, the last bit, is 2e-1 after 12.
   */
  const config = (method: NonNullable<ConfigInput['method']>, runtime: ConfigInput['runtime'] = {}) =>
    tinyConfig(source, {
      method,
      epochs: 4,
      batchSize: 16,
      schedule: { kind: 'cosine', peak: 0.001, warmup: 0 },
      techniques: { slowStart: { kind: 'none' } },
      runtime: { target: 'portable', ...runtime },
    });

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-engines-'));
    source = join(folder, 'images');
    await writeImages(source, 24, 1);
    const run = join(folder, 'teacher');
    await losses(config({ kind: 'moco-v2', queueSize: 32, dimension: 16 }), run);
    const { models } = await exportRun(run, { widths: [1], head: true });
    teacher = join(run, models[0]!.file);
  });
  after(() => removeFolder(folder));

  const methods: readonly (() => NonNullable<ConfigInput['method']>)[] = [
    () => ({ kind: 'moco-v2', queueSize: 32, dimension: 16 }),
    () => ({ kind: 'moco-v3', ...head }),
    // At its own temperature, 0.1, even the small rate lets rounding grow over 1e-5 in 12 steps, on any two targets.
    () => ({ kind: 'simclr', ...head, temperature: 1 }),
    () => ({ kind: 'supervised', classes: 2 }),
    () => ({ kind: 'seed', teacher, queueSize: 32, dimension: 16 }),
  ];
  for (const method of methods) {
    const { kind } = method();
    let expected: Record<string, number>[] | undefined;
    for (const [wheel, { python, missing }, target] of engines) {
      it(`${kind}: losses of ${wheel} in Python, ${target}, are those in process${missing}`, async function () {
        if (missing !== '') return this.skip();
        expected ??= await losses(config(method()), join(folder, kind));
        const found = await losses(
          config(method(), { engine: 'python', python, target }),
          join(folder, `${kind}-${wheel}-${target}`),
        );
        expect(found).to.have.length(12);
        for (const [i, step] of found.entries()) {
          expect(Object.keys(step)).to.deep.equal(Object.keys(expected[i]!));
          for (const [name, loss] of Object.entries(step)) {
            const wanted = expected[i]![name]!;
            expect(Math.abs(loss - wanted), `step ${i}, ${name}: ${loss}, ${wanted}`).to.be.at.most(
              tolerance * Math.abs(wanted) + 1e-7,
            );
          }
        }
      });
    }
  }

  // One wheel shows it: the other differs in its kernels only.
  for (const [wheel, { python, missing }] of [
    engines.find(([, { missing }]) => missing === '') ?? engines[0],
  ]) {
    const ofPython = (runtime: ConfigInput['runtime'] = {}) =>
      config({ kind: 'moco-v2', queueSize: 32, dimension: 16 }, { engine: 'python', python, ...runtime });

    it(`${wheel}: a killed worker is one line; what was saved is kept, and resumed bit for bit${missing}`, async function () {
      if (missing !== '' || process.platform !== 'linux') return this.skip();
      const [whole, parts] = [join(folder, `${wheel}-whole`), join(folder, `${wheel}-parts`)];
      await losses(ofPython(), whole);
      const error = await rejection(
        pretrain({
          config: ofPython(),
          runFolder: parts,
          onEvent: (event) => {
            if (event.type !== 'step' || event.step !== 8) return;
            const workers = trainingProcesses(process.pid).flatMap(childProcesses);
            expect(workers).to.have.length(1);
            process.kill(workers[0]!, 'SIGKILL');
          },
        }),
      );
      expect(error).to.be.instanceOf(LostEngineError);
      expect(error.message).to.match(
        /^the worker of runtime\.python "[^\n]*" was ended by SIGKILL \([^\n]*\); the last checkpoint is kept$/,
      );
      expect(await pretrain({ config: ofPython(), runFolder: parts, resume: true })).to.equal('done');
      await expectSameWeights(parts, whole);
    });

    it(`${wheel}: two replicas, a worker each, lose what one does${missing}`, async function () {
      if (missing !== '') return this.skip();
      const run = (replicas: number) => {
        const { runtime, method, ...rest } = ofPython({ replicas });
        // With keys in the same order, however many replicas there are.
        const shuffled = { ...method, shuffleKeys: 'on' } as typeof method;
        const shared = { ...rest, runtime, method: shuffled, accumulation: 2, batchSize: 4 };
        return losses(shared, join(folder, `${wheel}-replicas-${replicas}`));
      };
      const [one, two] = [await run(1), await run(2)];
      for (const [i, step] of two.entries()) {
        for (const [name, loss] of Object.entries(step)) {
          expect(Math.abs(loss - one[i]![name]!)).to.be.at.most(1e-4 * Math.abs(loss));
        }
      }
    });
  }

  it('an interpreter that is not there ends a training before anything is written', async () => {
    const runFolder = join(folder, 'absent');
    const absent = config({ kind: 'moco-v2', queueSize: 32 }, { engine: 'python', python: 'no-such-python' });
    const error = await rejection(pretrain({ config: absent, runFolder }));
    expect(error.message).to.match(/^runtime\.python "no-such-python" is not found; accepted: /);
  });
});
