import { expect } from 'chai';
import { gradients } from '../../src/autodiff.js';
import { onEveryTarget } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { randomOperand } from '../support/randomOperand.js';

/** Losses and log probabilities by their definition, in float64. */
function naive(logits: readonly number[], classes: number, labels: readonly number[]) {
  const logProbabilities = labels.flatMap((_, n) => {
    const row = logits.slice(n * classes, (n + 1) * classes);
    const largest = Math.max(...row);
    const total = largest + Math.log(row.reduce((sum, z) => sum + Math.exp(z - largest), 0));
    return row.map((z) => z - total);
  });
  return [labels.map((label, n) => -logProbabilities[n * classes + label]!), logProbabilities] as const;
}

onEveryTarget('SoftmaxCrossEntropy', (evaluate) => {
  it('[5,7] logits: losses and log probabilities of the definition', async () => {
    const logits = randomOperand([5, 7], 3);
    const labels = [0, 6, 3, 3, 1];
    const actual = await evaluate([logits, { dtype: 'int64', shape: [5], values: labels }], (b, inputs) =>
      b.node('SoftmaxCrossEntropy', inputs),
    );
    for (const [i, expected] of naive(logits.values, 7, labels).entries()) {
      expectClose(actual[i]!, expected, 2e-6);
    }
  });

  it('without labels, at temperature 0.5: column 0 of twice the logits', async () => {
    const logits = randomOperand([3, 4], 5);
    const actual = await evaluate([logits], (b, [z]) =>
      b.node('SoftmaxCrossEntropy', [z!, null], { temperature: 0.5 }),
    );
    const doubled = logits.values.map((z) => 2 * Number(z));
    for (const [i, expected] of naive(doubled, 4, [0, 0, 0]).entries()) {
      expectClose(actual[i]!, expected, 2e-6);
    }
  });

  it('logits of 1000 and -1000: loss and gradient neither overflow nor vanish', async () => {
    const logits = { shape: [2, 2], values: [1000, -1000, 1000, -1000] };
    const labels = { dtype: 'int64', shape: [2], values: [0, 1] } as const;
    const [losses, dLogits] = await evaluate([logits, labels], (b, [z, l]) => {
      const loss = b.op('SoftmaxCrossEntropy', [z!, l!]);
      return [loss, ...gradients(b, b.op('ReduceSum', [loss], { keepdims: false }), [z!])];
    });
    expectClose(losses!, [0, 2000], 0);
    expectClose(dLogits!, [0, 0, 1, -1], 0);
  });

  it('a loss that reads the log probabilities is refused', async () => {
    const labels = { dtype: 'int64', shape: [2], values: [0, 1] } as const;
    const outcome = evaluate([randomOperand([2, 3], 1), labels], (b, [z, l]) => {
      const [, logProbabilities] = b.node('SoftmaxCrossEntropy', [z!, l!]);
      return gradients(b, b.op('ReduceSum', [logProbabilities!], { keepdims: false }), [z!]);
    });
    expect(await outcome.catch(String)).to.match(/log probabilities are not a differentiable output/);
  });
});
