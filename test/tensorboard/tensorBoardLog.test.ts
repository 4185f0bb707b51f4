import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, writeFileSync, appendFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema } from '../../src/config/schema.js';
import { TensorBoardLog } from '../../src/tensorboard/tensorBoardLog.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { logFormat } from '../../src/training/logFormat.js';
import { readEvents } from './readEvents.js';
import { removeFolder } from '../support/removeFolder.js';

/** Prints the scalars of a folder as TensorBoard sees them: `{tag: [[step, value], ...]}`. */
const readerScript = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}))
`;

const config = configSchema.parse({ widths: [1, 0.5], batchSize: 8, accumulation: 2 });

function start(step: number): TrainingEvent {
  const labels = ['w1.00', 'w0.50'];
  return {
    type: 'start',
    format: logFormat,
    version: '',
    config,
    labels,
    images: 160,
    stepsPerEpoch: 10,
    step,
  };
}

function step(step: number, loss: number): TrainingEvent {
  return {
    type: 'step',
    epoch: 0,
    step,
    learningRate: 0.125,
    losses: {
      'w1.00': { loss, terms: { info_nce: loss } },
      'w0.50': { loss: 2 * loss, terms: { info_nce: loss, distillation: 3 * loss } },
    },
    seconds: 0.5,
    computeSeconds: 0.25,
    loaderSeconds: 0,
  };
}

const knn: TrainingEvent = {
  type: 'knn',
  epoch: 0,
  step: 9,
  accuracies: { 'w1.00': { top1: 0.5, top5: 0.75 } },
  seconds: 1,
};

const diagnostics: TrainingEvent = {
  type: 'diagnostics',
  epoch: 0,
  step: 5,
  diagnostics: {
    gradientNorms: {
      'w1.00': { region: 2, rest: null, ratio: null },
      'w0.50': { region: 1, rest: 0.5, ratio: 0.5 },
    },
    cosines: [{ wide: 'w1.00', narrow: 'w0.50', cosine: -0.25, layers: { conv: -0.25 } }],
    layerNorms: { conv: { 'w1.00': 2, 'w0.50': 1 } },
    features: { 'w1.00': { alignment: 0.25, uniformity: -3.5, std: 0.75 } },
    queueAge: { mean: 2.5, max: 4 },
  },
};

describe('TensorBoardLog', () => {
  let run: string;
  beforeEach(() => (run = mkdtempSync(join(tmpdir(), 'tensorboard-'))));
  afterEach(() => removeFolder(run));

  /** Writes a file of events, as one process does. */
  function write(...events: TrainingEvent[]): void {
    const log = new TensorBoardLog(run);
    for (const event of events) log.write(event);
    log.close();
  }

  /** The files in the order in which TensorBoard reads them. */
  function read() {
    const folder = join(run, 'tensorboard');
    const files = readdirSync(folder).sort();
    return files.map((file) => readEvents(readFileSync(join(folder, file))));
  }

  it('a run: version, start, and a point of every curve', () => {
    const before = Date.now() / 1000;
    write(start(0), step(0, 4), { type: 'stop', reason: 'done', step: 1, seconds: 1 });
    const [[version, session, ...rest]] = read() as [ReturnType<typeof readEvents>];
    expect(version).to.deep.include({ step: 0, version: 'brain.Event:2', scalars: {} });
    expect(session).to.deep.include({ step: 0, sessionStatus: 1, scalars: {} });
    expect(rest.map(({ step, scalars }) => ({ step, scalars }))).to.deep.equal([
      {
        step: 0,
        scalars: {
          'loss/w1.00': 4,
          'loss/w1.00/info_nce': 4,
          'loss/w0.50': 8,
          'loss/w0.50/info_nce': 4,
          'loss/w0.50/distillation': 12,
          learning_rate: 0.125,
          images_per_second: 32,
        },
      },
    ]);
    for (const { wallTime } of [version!, session!, ...rest]) {
      expect(wallTime).to.be.within(before, Date.now() / 1000);
    }
  });

  it('accuracies, gradients, features and queue have curves of their own; absent numbers none', () => {
    write(start(0), diagnostics, knn);
    expect(
      read()[0]!
        .slice(2)
        .map(({ step, scalars }) => ({ step, scalars })),
    ).to.deep.equal([
      {
        step: 5,
        scalars: {
          'gradient/norm/w1.00/region': 2,
          'gradient/norm/w0.50/region': 1,
          'gradient/norm/w0.50/rest': 0.5,
          'gradient/ratio/w0.50': 0.5,
          'gradient/cosine/w1.00-w0.50': -0.25,
          'features/w1.00/alignment': 0.25,
          'features/w1.00/uniformity': -3.5,
          'features/w1.00/std': 0.75,
          'queue/age_mean': 2.5,
          'queue/age_max': 4,
        },
      },
      { step: 9, scalars: { 'knn/w1.00/top1_share': 0.5, 'knn/w1.00/top5_share': 0.75 } },
    ]);
  });

  it('a large step keeps all its digits', () => {
    write(start(2 ** 40 + 1));
    expect(read()[0]![1]!.step).to.equal(2 ** 40 + 1);
  });

  it('every process writes a file, named after those before even within a second', () => {
    for (const from of [0, 1, 2]) write(start(from));
    expect(read().map(([, session]) => session!.step)).to.deep.equal([0, 1, 2]);
    for (const name of readdirSync(join(run, 'tensorboard'))) {
      expect(name).to.match(/^events\.out\.tfevents\.\d+\.slimclr$/);
    }
  });

  it('TensorBoard reads it; a resumed run replaces the points it does again, a torn record is skipped', function () {
    const python = process.env['SLIMCLR_PYTHON_TENSORBOARD'];
    if (!python) {
      this.test!.title += ' (set SLIMCLR_PYTHON_TENSORBOARD to a Python with tensorboard)';
      this.skip();
    }
    this.timeout(60000);
    write(start(0), step(0, 4), step(1, 3), step(2, 2), step(3, 1));
    const folder = join(run, 'tensorboard');
    appendFileSync(join(folder, readdirSync(folder)[0]!), Buffer.of(30, 0, 0, 0, 0, 0));
    write(start(2), step(2, 20), knn);
    const script = join(run, 'read.py');
    writeFileSync(script, readerScript);
    const printed = execFileSync(python, [script, folder], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const scalars = JSON.parse(printed) as Record<string, [number, number][]>;
    expect(scalars['loss/w1.00']).to.deep.equal([
      [0, 4],
      [1, 3],
      [2, 20],
    ]);
    expect(scalars['loss/w0.50/distillation']).to.deep.equal([
      [0, 12],
      [1, 9],
      [2, 60],
    ]);
    expect(scalars['knn/w1.00/top5_share']).to.deep.equal([[9, 0.75]]);
    expect(Object.keys(scalars)).to.have.length(9);
  });
});
