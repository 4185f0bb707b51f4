import { queueSimilarities } from '../../src/losses/similarities.js';
import { seedLoss } from '../../src/losses/seedLoss.js';
import { checkGradient } from '../support/checkGradient.js';
import { evaluate } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { constantOf, float64, normalFloat64 } from '../support/float64.js';
import { dot, mean, rows, softmax, sum } from '../support/matrix.js';

const d = 4;
const options = { temperature: 0.5, teacherTemperature: 0.2 };

describe('seedLoss', () => {
  it("equals -sum p_T log p_S over the teacher's embedding and queue, averaged by a loop", async () => {
    const [student, teacher, queue] = [
      normalFloat64([3, d], 1),
      normalFloat64([3, d], 2),
      normalFloat64([6, d], 3),
    ];
    const [loss] = await evaluate([student, teacher, queue], (b, [s, t, old]) => [
      seedLoss(b, queueSimilarities(b, s!, t!, old!), queueSimilarities(b, t!, t!, old!), options),
    ]);
    const entries = rows(queue.values, d);
    const expected = mean(
      rows(student.values, d).map((z, i) => {
        const own = rows(teacher.values, d)[i]!;
        const target = softmax(
          [own, ...entries].map((entry) => dot(own, entry)),
          0.2,
        );
        const prediction = softmax(
          [own, ...entries].map((entry) => dot(z, entry)),
          0.5,
        );
        return -sum(target.map((p, j) => p * Math.log(prediction[j]!)));
      }),
    );
    expectClose(loss!, [expected], 1e-13);
  });

  it('equal student similarities: log(1 + K), whatever the teacher says', async () => {
    const operands = [float64([2, 5], new Array<number>(10).fill(0.3)), normalFloat64([2, 5], 4)];
    const [loss] = await evaluate(operands, (b, [s, t]) => [seedLoss(b, s!, t!, options)]);
    expectClose(loss!, [Math.log(5)], 1e-13);
  });

  it("a teacher as sharp as the paper's T 0.01 in float32: the student's cross entropy with its best column", async () => {
    const student = { shape: [1, 3], values: [0.1, 0.5, 0.3] };
    const teacher = { shape: [1, 3], values: [-1, 1, -1] };
    const [loss] = await evaluate([student, teacher], (b, [s, t]) => [
      seedLoss(b, s!, t!, { temperature: 0.2, teacherTemperature: 0.01 }),
    ]);
    expectClose(loss!, [-Math.log(softmax(student.values, 0.2)[1]!)], 1e-6);
  });

  it('[3,6]: gradient of the student equals finite differences', () => {
    const teacher = normalFloat64([3, 6], 5);
    return checkGradient(
      {
        title: '',
        inputs: [{ shape: [3, 6] }],
        build: (b, [s]) => [seedLoss(b, s!, constantOf(b, teacher), options)],
      },
      1,
    );
  });
});
