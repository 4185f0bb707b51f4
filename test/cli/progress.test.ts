import { expect } from 'chai';
import { allRunsLeft, knnLine, TrainingProgress } from '../../src/cli/progress.js';
import { configSchema, type ConfigInput } from '../../src/config/schema.js';
import { logFormat } from '../../src/training/logFormat.js';

const stepsPerEpoch = 100;

/** Two widths, 10 epochs of 100 steps, batch 32. */
function progress(config: ConfigInput = {}, step = 0): TrainingProgress {
  return new TrainingProgress({
    type: 'start',
    format: logFormat,
    version: '0.0.0',
    config: configSchema.parse({ epochs: 10, batchSize: 32, widths: [1, 0.5], ...config }),
    labels: ['w1.00', 'w0.50'],
    images: 3200,
    stepsPerEpoch,
    step,
  });
}

/** Records the steps from `from` to before `to`, each of `seconds`. */
function record(
  training: TrainingProgress,
  [from, to]: [number, number],
  seconds: number,
  infoNce: Record<string, number> = { 'w1.00': 5 },
  scaling: { lossScale?: number; overflow?: true } = {},
): void {
  for (let step = from; step < to; step++) {
    training.record({
      type: 'step',
      epoch: Math.floor(step / stepsPerEpoch),
      step,
      learningRate: 0.1,
      losses: Object.fromEntries(
        Object.entries(infoNce).map(([label, value]) => [label, { loss: 90, terms: { info_nce: value } }]),
      ),
      seconds,
      computeSeconds: seconds,
      loaderSeconds: 0,
      ...scaling,
    });
  }
}

describe('TrainingProgress', () => {
  it('nothing recorded: no line, no time left', () => {
    expect(progress().line()).to.equal('');
    expect(progress().secondsLeft()).to.equal(undefined);
  });

  it('no slow start: time left is the steps left times the mean of the last 50', () => {
    const training = progress();
    record(training, [0, 100], 60);
    record(training, [100, 150], 2);
    expect(training.secondsLeft()).to.equal(850 * 2);
  });

  it('in slow start: the steps of all widths are estimated from the widths, and the time is marked', () => {
    const training = progress({ techniques: { slowStart: { kind: 'full-width-first', epochs: 4 } } });
    record(training, [0, 100], 2);
    // Key forward 1, query forward and backward 3: (1 + 3 * 1.5) / (1 + 3).
    expect(training.secondsLeft()).to.be.closeTo(300 * 2 + 600 * 2 * 1.375, 1e-9);
    expect(training.line()).to.match(/ {2}~37 min 30 s left$/);
  });

  it('after slow start: only steps of all widths count', () => {
    const training = progress({ techniques: { slowStart: { kind: 'full-width-first', epochs: 4 } } });
    record(training, [0, 400], 2);
    record(training, [400, 410], 7);
    expect(training.secondsLeft()).to.be.closeTo(590 * 7, 1e-9);
    expect(training.line()).to.match(/ {2}1 h 08 min left$/);
  });

  it('one width: slow start changes nothing', () => {
    const training = progress({
      widths: [1],
      techniques: { slowStart: { kind: 'full-width-first', epochs: 4 } },
    });
    record(training, [0, 100], 2);
    expect(training.secondsLeft()).to.equal(900 * 2);
    expect(training.line()).to.not.contain('~');
  });

  it('a line holds epoch, step, mean InfoNCE of each width, and speed', () => {
    const training = progress();
    record(training, [0, 1], 0.5, { 'w1.00': 5, 'w0.50': 6 });
    record(training, [1, 2], 1.5, { 'w1.00': 4, 'w0.50': 6.5 });
    expect(training.line()).to.equal(
      'epoch 1/10  step 2/1000  InfoNCE w1.00 4.50 w0.50 6.25  32 images/s  16 min 38 s left',
    );
  });

  it('steps skipped for an overflow: counted; a loss that is not finite does not spoil the mean', () => {
    const training = progress({ runtime: { precision: 'float16' } });
    record(training, [0, 2], 1, { 'w1.00': 4 });
    record(training, [2, 3], 1, { 'w1.00': NaN }, { lossScale: 65536, overflow: true });
    expect(training.line()).to.contain('  InfoNCE w1.00 4.00  1 step skipped (overflow)  32 images/s  ');
  });

  it('slow steps: images per second keep two digits', () => {
    const training = progress();
    record(training, [0, 1], 25);
    expect(training.line()).to.contain('  1.3 images/s  ');
  });

  it('the opening names encoder, widths, images, epochs, the start of the sub-networks and where it goes on', () => {
    expect(
      progress({ techniques: { slowStart: { kind: 'full-width-first', epochs: 4 } } }, 130).opening(),
    ).to.equal(
      'training resnet20 at widths 1, 0.5 on 3200 images of cifar10: 10 epochs of 100 steps, ' +
        'sub-networks from epoch 5, going on after step 130',
    );
    expect(progress().opening()).to.match(/10 epochs of 100 steps$/);
  });
});

describe('knnLine', () => {
  it('shares are printed in percent', () => {
    const accuracies = { 'w1.00': { top1: 0.412, top5: 0.9 }, 'w0.50': { top1: 0.3866, top5: 0.8 } };
    expect(knnLine({ type: 'knn', epoch: 4, step: 499, accuracies, seconds: 1 })).to.equal(
      'epoch 5: kNN w1.00 41.2 w0.50 38.7 %',
    );
  });
});

describe('allRunsLeft', () => {
  it('what was left when the run began less the time since, not below 0; nothing where it is not known', () => {
    expect(allRunsLeft(200, 20)).to.equal('all runs ~3 min 00 s left  ');
    expect(allRunsLeft(200, 300)).to.equal('all runs ~0 s left  ');
    expect(allRunsLeft(null, 20)).to.equal('');
  });
});
