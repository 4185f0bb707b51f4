import { crossEntropy } from '../../src/losses/crossEntropy.js';
import { checkGradient } from '../support/checkGradient.js';
import { evaluate } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { float64, normalFloat64 } from '../support/float64.js';
import { mean, rows, softmax } from '../support/matrix.js';
import { labelsOf } from '../support/labels.js';

const labels = [4, 0, 2, 2];

describe('crossEntropy', () => {
  it('[4,5] equals -log softmax(logits)[label] averaged by a loop', async () => {
    const logits = normalFloat64([4, 5], 1);
    const [loss] = await evaluate([logits], (b, [z]) => [crossEntropy(b, z!, labelsOf(b, labels))]);
    const expected = mean(rows(logits.values, 5).map((row, n) => -Math.log(softmax(row)[labels[n]!]!)));
    expectClose(loss!, [expected], 1e-13);
  });

  it('equal logits of 5 classes: log 5', async () => {
    const logits = float64([4, 5], new Array<number>(20).fill(-3));
    const [loss] = await evaluate([logits], (b, [z]) => [crossEntropy(b, z!, labelsOf(b, labels))]);
    expectClose(loss!, [Math.log(5)], 1e-14);
  });

  it('[4,5]: gradient equals finite differences', () =>
    checkGradient(
      {
        title: '',
        inputs: [{ shape: [4, 5] }],
        build: (b, [z]) => [crossEntropy(b, z!, labelsOf(b, labels))],
      },
      1,
    ));
});
