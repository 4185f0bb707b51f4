import { expect } from 'chai';
import { loadConfig, withAssignments } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { UsageError } from '../../src/errors.js';
import { continuedConfig } from '../../src/training/continuedSchedule.js';
import { TrainingPlan } from '../../src/training/plan.js';

describe('continuedConfig', () => {
  const base = loadConfig({
    preset: 'cifar10-resnet20-moco-v3',
    set: ['epochs=200', 'schedule.warmup=0.1', 'schedule.peak=0.2', 'techniques.slowStart.kind=none'],
  });
  const plan = (config: Config) => new TrainingPlan(config, 10 * config.accumulation);
  const goOn = (saved: Config, step: number, ...set: string[]) =>
    continuedConfig({ config: saved, step }, withAssignments(saved, set), 10 * saved.accumulation);

  it('the same schedule: nothing changes, and nothing is said', () => {
    expect(goOn(base, 700, 'data.workers=2')).to.deep.equal({
      config: withAssignments(base, ['data.workers=2']),
      notice: null,
    });
  });

  it('400 epochs after all of 200: from 0 in a tenth of the steps back to the longer cosine, and along it to 0', () => {
    const { config, notice } = goOn(base, 2000, 'epochs=400');
    expect(config.continued).to.deep.equal({ step: 2000, learningRate: 0, warmupSteps: 200 });
    const rate = (step: number) => plan(config).step(step).learningRate;
    const cosine = (step: number) => 0.1 * (1 + Math.cos((Math.PI * (step - 200)) / 3800));
    expect(rate(2000)).to.equal(0);
    expect(rate(2100)).to.be.closeTo(cosine(2100) / 2, 1e-15);
    expect(rate(2200)).to.be.closeTo(cosine(2200), 1e-15);
    expect(rate(3999)).to.be.closeTo(cosine(3999), 1e-15);
    expect(plan(config).step(2000).counts).to.include({ all: 2000, total: 4000 });
    expect(notice).to.equal(
      'epochs is 400, 200 at the checkpoint: from step 2000 on the learning rate goes from 0 to 0.0917 in 200 steps ' +
        "and then follows the cosine schedule of 400 epochs to 0; the key encoder's momentum follows the same epochs",
    );
  });

  it('the warm-up is that of the first plan: in it the rate goes on as it was', () => {
    const { config, notice } = goOn(base, 100, 'epochs=400');
    for (const step of [100, 150, 200]) {
      expect(plan(config).step(step).learningRate).to.equal(plan(base).step(step).learningRate);
    }
    expect(notice).to.include('goes on from 0.1 along the cosine');
  });

  it('the second time: on from where the first has led, whose way back may not be over', () => {
    const first = goOn(base, 1000, 'epochs=300').config;
    const second = goOn(first, 1050, 'epochs=250').config;
    const before = plan(first).step(1050).learningRate;
    expect(second.continued).to.deep.equal({ step: 1050, learningRate: before, warmupSteps: 200 });
    expect(plan(second).step(1050).learningRate).to.equal(before);
    // A resumed run is given the keys that its user knows, or those of its config.json.
    expect(goOn(second, 1400, 'continued.step=0', 'continued.learningRate=0').config).to.deep.equal(second);
  });

  it('constant with a cool-down, late: the rates of a run that was planned so', () => {
    for (const curve of ['linear', '1-sqrt']) {
      const constant = withAssignments(base, ['schedule.kind=constant', 'schedule.warmup=0']);
      const late = ['epochs=150', 'schedule.coolDown=50', `schedule.coolDownCurve=${curve}`];
      const { config, notice } = goOn(constant, 1000, ...late);
      const planned = plan(withAssignments(constant, late));
      for (const step of [1000, 1001, 1250, 1499]) {
        expect(plan(config).step(step).learningRate).to.equal(planned.step(step).learningRate);
      }
      expect(planned.step(1000).learningRate).to.equal(0.2);
      const half = curve === 'linear' ? 0.1 : 0.2 * (1 - Math.SQRT1_2);
      expect(planned.step(1250).learningRate).to.be.closeTo(half, 1e-15);
      expect(notice).to.include('goes on from 0.2 along the constant schedule of 150 epochs to 0');
    }
  });

  it('cosine to constant: in a tenth of the steps left to the peak', () => {
    const { config, notice } = goOn(base, 1100, 'schedule.kind=constant');
    expect(plan(config).step(1100).learningRate).to.equal(plan(base).step(1100).learningRate);
    expect(plan(config).step(1190).learningRate).to.equal(0.2);
    expect(notice).to.match(
      /^schedule\.kind is "constant", "cosine" at .*: from step 1100 on .* from 0\.1 to 0\.2 in 90 steps/,
    );
  });

  it('fewer epochs than are done: refused; as many: nothing is left', () => {
    expect(() => goOn(base, 1234, 'epochs=123')).to.throw(
      UsageError,
      'epochs 123 is fewer than the 123.4 that the checkpoint has done; accepted: at least 124',
    );
    expect(goOn(base, 1230, 'epochs=123').notice).to.equal(
      'epochs is 123, 200 at the checkpoint: nothing is left to train',
    );
  });
});
