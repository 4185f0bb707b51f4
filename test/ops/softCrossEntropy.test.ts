import { expect } from 'chai';
import { gradients } from '../../src/autodiff.js';
import { onEveryTarget } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { randomOperand } from '../support/randomOperand.js';

onEveryTarget('SoftCrossEntropy', (evaluate) => {
  const targets = { shape: [2, 3], values: [0.2, 0.5, 0.3, 1, 0, 0] };

  it('losses of the definition, -sum_j t_j log softmax(z / T)_j', async () => {
    const logits = randomOperand([2, 3], 7);
    const [losses] = await evaluate([logits, targets], (b, inputs) => [
      b.op('SoftCrossEntropy', inputs, { temperature: 4 }),
    ]);
    const expected = [0, 1].map((row) => {
      const z = [0, 1, 2].map((j) => Number(logits.values[3 * row + j]) / 4);
      const total = Math.log(z.reduce((sum, value) => sum + Math.exp(value), 0));
      return -z.reduce((sum, value, j) => sum + targets.values[3 * row + j]! * (value - total), 0);
    });
    expectClose(losses!, expected, 2e-6);
  });

  it('logits of 1000 and -1000: loss and gradient neither overflow nor vanish', async () => {
    const logits = { shape: [2, 2], values: [1000, -1000, 1000, -1000] };
    const right = { shape: [2, 2], values: [1, 0, 0, 1] };
    const [losses, dLogits] = await evaluate([logits, right], (b, [z, t]) => {
      const loss = b.op('SoftCrossEntropy', [z!, t!]);
      return [loss, ...gradients(b, b.op('ReduceSum', [loss], { keepdims: false }), [z!])];
    });
    expectClose(losses!, [0, 2000], 0);
    expectClose(dLogits!, [0, 0, 1, -1], 0);
  });

  it('a gradient of the targets is refused', async () => {
    const outcome = evaluate([randomOperand([2, 3], 1), targets], (b, [z, t]) =>
      gradients(b, b.op('ReduceSum', [b.op('SoftCrossEntropy', [z!, t!])], { keepdims: false }), [t!]),
    );
    expect(await outcome.catch(String)).to.match(/SoftCrossEntropy has no gradient for input 1/);
  });
});
