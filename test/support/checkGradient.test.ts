import { expect } from 'chai';
import type { BatchNormalizationAttributes } from '../../src/ops/batchNormalization.js';
import type { GradientRule, NoAttributes } from '../../src/ops/operator.js';
import { checkGradient, type GradientCase } from './checkGradient.js';
import { awayFromZero } from './samples.js';
import { withRule } from './withRule.js';

const seed = 7;

const quotient: GradientCase = {
  title: 'x / y',
  inputs: [{ shape: [2, 3] }, { shape: [3], sample: awayFromZero }],
  build: (b, inputs) => [b.op('Div', inputs)],
};
const batchNorm: GradientCase = {
  title: 'batch norm',
  dtype: 'float32',
  inputs: [{ shape: [4, 2, 5, 5] }, { shape: [2] }, { shape: [2] }],
  build: (b, inputs) => [b.op('BatchNormTrain', inputs, { epsilon: 1e-5 })],
};

async function failure(run: Promise<void>): Promise<string> {
  return run.then(
    () => 'accepted',
    (error: unknown) => String(error),
  );
}

describe('checkGradient', () => {
  it('accepts the rules of x / y and of batch norm', async () => {
    await checkGradient(quotient, seed);
    await checkGradient(batchNorm, seed);
  });

  // The gradient of y is -dy (x / y) / y.
  const wrong: Record<string, GradientRule<NoAttributes>> = {
    'a wrong sign': ({ b, inputs: [, y], outputs: [out], gradients: [dy] }) => [
      b.op('Div', [dy!, y!]),
      b.op('Mul', [dy!, b.op('Div', [out!, y!])]),
    ],
    'a factor of 1.00001': ({ b, inputs: [, y], outputs: [out], gradients: [dy] }) => [
      b.op('Div', [dy!, y!]),
      b.op('Mul', [b.op('Mul', [dy!, b.scalarLike(-1.00001, dy!)]), b.op('Div', [out!, y!])]),
    ],
    'a missing factor': ({ b, inputs: [, y], outputs: [out], gradients: [dy] }) => [
      b.op('Div', [dy!, y!]),
      b.op('Neg', [b.op('Mul', [dy!, out!])]),
    ],
  };
  for (const [what, rule] of Object.entries(wrong)) {
    it(`rejects ${what}, naming the input and the seed`, () =>
      withRule('Div', rule, async () => {
        expect(await failure(checkGradient(quotient, seed))).to.match(/gradient of input 1 .*seed 7/);
      }));
  }

  it('rejects a batch norm gradient without the term of the variance', () => {
    const withoutVariance: GradientRule<BatchNormalizationAttributes> = ({
      b,
      inputs: [x, gamma],
      outputs: [, mean, variance],
      gradients: [dy],
      attributes,
    }) => {
      const right = b.node('BatchNormTrainGrad', [dy!, x!, gamma!, mean!, variance!], attributes);
      const scale = b.op('Div', [gamma!, b.op('Sqrt', [variance!])]);
      const centred = b.op('Sub', [dy!, b.op('ReduceMean', [dy!], { axes: [0, 2, 3] })]);
      return [b.op('Mul', [centred, b.reshape(scale, [1, 2, 1, 1])]), ...right.slice(1)];
    };
    return withRule('BatchNormTrain', withoutVariance, async () => {
      expect(await failure(checkGradient(batchNorm, seed))).to.match(/gradient of input 0 .*seed 7/);
    });
  });
});
