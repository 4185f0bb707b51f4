import { expect } from 'chai';
import { optimizerSchema, type OptimizerConfig } from '../../src/config/optimization.js';
import { optimizerOf } from '../../src/optimizers/optimizer.js';
import type { UpdateName } from '../../src/optimizers/updateGraph.js';
import { Random } from '../../src/random.js';
import { targets } from '../../src/targets/index.js';
import { expectClose } from '../support/expectClose.js';
import { loadGraph } from '../support/runGraph.js';
import { normal } from '../support/samples.js';
import { naiveUpdate } from './naiveUpdate.js';

const n = 11;
const rates = [0.1, 0.03, 0.2, 0.01];

/** Four updates of random values on a graph, each compared with the naive loop, which goes on from its own values. */
async function expectUpdates(
  config: OptimizerConfig,
  name: UpdateName,
  start = normal(new Random(1), n),
  gradients = rates.map((_, i) => normal(new Random(2, i), start.length)),
  { target = targets.portable } = {},
): Promise<number[]> {
  const optimizer = optimizerOf(config);
  const loaded = await loadGraph(optimizer.graphs.get(name)!, { target });
  const zeros = () => Object.fromEntries(optimizer.slots.map((slot) => [slot, start.map(() => 0)]));
  let parameter: readonly number[] = start;
  let slots: Record<string, readonly number[]> = zeros();
  const expected = { parameter: [...start], slots: zeros() };
  // With clipping the graph halves what it is fed.
  const scale = config.clipNorm > 0 ? 0.5 : 1;
  try {
    for (const [i, rate] of rates.entries()) {
      const gradient = gradients[i]!;
      const scalars = Object.entries(optimizer.scalars(i + 1)).map(
        ([scalar, value]) => [scalar, [value]] as const,
      );
      const outputs = await loaded.run({
        parameter,
        gradient,
        ...slots,
        learning_rate: [rate],
        weight_decay: [config.weightDecay],
        ...(config.clipNorm > 0 && { gradient_scale: [scale] }),
        ...Object.fromEntries(scalars),
      });
      const scaled = gradient.map((g) => g * scale);
      const step = { rate, decay: config.weightDecay, t: i + 1 };
      naiveUpdate(config, expected, scaled, name === 'update.tensor', step);
      parameter = outputs['new_parameter']!;
      expectClose(parameter, expected.parameter, 1e-6);
      slots = Object.fromEntries(optimizer.slots.map((slot) => [slot, outputs[`new_${slot}`]!]));
      for (const slot of optimizer.slots) expectClose(slots[slot]!, expected.slots[slot]!, 1e-6);
    }
  } finally {
    await loaded.release();
  }
  return expected.parameter;
}

const config = (overrides: object) => optimizerSchema.parse(overrides);
const lars = { kind: 'lars', momentum: 0.8, trust: 0.02, weightDecay: 0.05 };

describe('optimizers: four updates equal the naive loop', () => {
  const cases: [string, OptimizerConfig, UpdateName][] = [
    ['SGD', config({ kind: 'sgd', momentum: 0.8, weightDecay: 0.05 }), 'update'],
    ['SGD without momentum and decay', config({ kind: 'sgd', momentum: 0, weightDecay: 0 }), 'update'],
    ['SGD, Nesterov', config({ kind: 'sgd', momentum: 0.8, nesterov: true, weightDecay: 0.05 }), 'update'],
    ['SGD, clipped', config({ kind: 'sgd', momentum: 0.8, weightDecay: 0.05, clipNorm: 1 }), 'update'],
    ['LARS, a weight', config(lars), 'update.tensor'],
    ['LARS, a weight, clipped', config({ ...lars, clipNorm: 1 }), 'update.tensor'],
    ['LARS, a bias', config({ ...lars, weightDecay: 0 }), 'update'],
    ['AdamW', config({ kind: 'adamw', weightDecay: 0.05 }), 'update'],
    ['AdamW, large epsilon', config({ kind: 'adamw', beta1: 0.5, beta2: 0.7, epsilon: 0.5 }), 'update'],
    ['AdamW, clipped', config({ kind: 'adamw', weightDecay: 0.05, clipNorm: 1, epsilon: 0.1 }), 'update'],
  ];
  for (const [title, optimizer, name] of cases) {
    it(title, async () => {
      await expectUpdates(optimizer, name);
    });
    it(`${title}: lowered for the cpu target`, async () => {
      await expectUpdates(optimizer, name, undefined, undefined, { target: targets.cpu });
    });
  }

  it('LARS, a weight of zeros: the first update is that of SGD', async () => {
    const gradient = normal(new Random(3), n);
    const start = gradient.map(() => 0);
    const gradients = rates.map((_, i) => (i === 0 ? gradient : start));
    await expectUpdates(config({ ...lars, momentum: 0, weightDecay: 0 }), 'update.tensor', start, gradients);
  });

  it('LARS, a gradient of zeros without decay: nothing moves, nothing is NaN', async () => {
    const start = normal(new Random(4), n).map(Math.fround);
    const gradients = rates.map(() => start.map(() => 0));
    const moved = await expectUpdates(config({ ...lars, weightDecay: 0 }), 'update.tensor', start, gradients);
    expect(moved).to.deep.equal(start);
  });

  it('LARS, norms whose product underflows: the step is still trust times the norm of the weight', async () => {
    const optimizer = optimizerOf(config({ ...lars, momentum: 0, weightDecay: 0 }));
    const loaded = await loadGraph(optimizer.graphs.get('update.tensor')!);
    // |p| |g| is 1e-38 * 1e-10; 3-4-5 triangles.
    const outputs = await loaded.run({
      parameter: [3e-10, 4e-10],
      gradient: [4e-18, 3e-18],
      velocity: [0, 0],
      learning_rate: [1],
      weight_decay: [0],
    });
    await loaded.release();
    const step = outputs['new_velocity']!.map((v) => v / 1e-11);
    expectClose(step, [0.8, 0.6], 1e-6);
  });

  it('LARS, a weight of two million elements: no rounding error adds up in its norm', async () => {
    const optimizer = optimizerOf(config({ ...lars, momentum: 0, weightDecay: 0 }));
    const loaded = await loadGraph(optimizer.graphs.get('update.tensor')!);
    const size = 2 ** 21;
    const outputs = await loaded.run({
      parameter: new Array<number>(size).fill(0.1),
      gradient: new Array<number>(size).fill(1),
      velocity: new Array<number>(size).fill(0),
      learning_rate: [1],
      weight_decay: [0],
    });
    await loaded.release();
    expectClose([outputs['new_velocity']![0]! / lars.trust], [0.1], 1e-6);
  });
});

describe('optimizerOf', () => {
  it('LARS updates weights as whole tensors and the rest in pieces; the others everything in pieces', () => {
    const roles = ['weight', 'bias', 'gamma', 'beta'] as const;
    const names = (kind: OptimizerConfig['kind']) =>
      roles.map((role) => optimizerOf(config({ kind })).updateOf(role));
    expect(names('lars')).to.deep.equal(['update.tensor', 'update', 'update', 'update']);
    expect(names('sgd')).to.deep.equal(roles.map(() => 'update'));
    expect(names('adamw')).to.deep.equal(roles.map(() => 'update'));
  });
});
