import { expect } from 'chai';
import { operators } from '../../src/ops/index.js';
import {
  notDifferentiable,
  type GradientContext,
  type GradientRule,
  type OpName,
} from '../../src/ops/operator.js';
import { cpuTarget } from '../../src/targets/cpu/index.js';
import { checkGradient, loweredGradient, type GradientCase } from '../support/checkGradient.js';
import { isMap } from '../support/operands.js';
import { testedTargets } from '../support/testedTargets.js';
import { withRule } from '../support/withRule.js';
import { convolution } from './gradientCases/convolution.js';
import { elementwise } from './gradientCases/elementwise.js';
import { layout } from './gradientCases/layout.js';
import { linear } from './gradientCases/linear.js';
import { normalization } from './gradientCases/normalization.js';
import { pooling } from './gradientCases/pooling.js';
import { reductions } from './gradientCases/reductions.js';
import { softmax } from './gradientCases/softmax.js';

/** Total over the operator table: an operator without cases, and without saying that it needs none, does not compile. */
const cases: { readonly [K in OpName]: readonly GradientCase[] | typeof notDifferentiable } = {
  ...convolution,
  ...elementwise,
  ...layout,
  ...linear,
  ...normalization,
  ...pooling,
  ...reductions,
  ...softmax,
};

/** Another seed draws other points, projections and directions. */
const seed = Number(process.env['GRADIENT_SEED'] ?? 1);

/** The rule of an operator with the gradient of the k-th input that needs one 1 % too large. */
function distorted(op: OpName, k: number): GradientRule<never> {
  const rule = operators[op].gradient as GradientRule<object>;
  return (context: GradientContext<object>) => {
    const { b, needs } = context;
    const input = [...needs.keys()].filter((i) => needs[i])[k];
    return rule(context).map((g, i) => (g && i === input ? b.op('Mul', [g, b.scalarLike(1.01, g)]) : g));
  };
}

describe('gradient rules', () => {
  it('have test cases for every operator of the table', () => {
    expect(Object.keys(cases)).to.have.members(Object.keys(operators));
  });

  for (const [name, list] of Object.entries(cases)) {
    const op = name as OpName;
    if (list === notDifferentiable) {
      it(`${name}: not differentiable`, () => expect(operators[op].gradient).to.equal(notDifferentiable));
      continue;
    }
    for (const tested of testedTargets) {
      if (tested.missing !== undefined) {
        it.skip(`${tested.title}: ${name}${tested.missing}`);
        continue;
      }
      for (const test of list) {
        if (tested.betweenLayers && !test.inputs.some(isMap)) continue;
        it(`${tested.title}: ${name} ${test.title}: gradients equal finite differences`, () =>
          checkGradient(test, seed, tested));
      }
    }
    it(`${name}: every case lowers for blocks of 8 and of 16 channels`, () => {
      for (const block of [8, 16] as const) {
        for (const betweenLayers of [false, true]) {
          const tested = { title: '', target: cpuTarget(block), betweenLayers };
          for (const test of list) {
            if (!betweenLayers || test.inputs.some(isMap)) loweredGradient(test, tested);
          }
        }
      }
    });
    it(`${name}: a gradient that is 1 % off is found in every case`, async () => {
      for (const test of list) {
        for (const k of test.inputs.keys()) {
          let failure: unknown;
          await withRule(op, distorted(op, k), () => checkGradient(test, seed)).catch(
            (error: unknown) => (failure = error),
          );
          expect(String(failure), test.title).to.match(new RegExp(`gradient of input \\d+ .*seed ${seed}`));
        }
      }
    });
  }
});
