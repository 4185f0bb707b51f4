import { expect } from 'chai';
import { queueAge } from '../../src/diagnostics/queueAge.js';

describe('queueAge', () => {
  const cases = [
    { queueSize: 8, batch: 4 },
    { queueSize: 12, batch: 3 },
    { queueSize: 6, batch: 6 },
  ];
  for (const { queueSize, batch } of cases) {
    it(`queue of ${queueSize}, batches of ${batch}: equals the ages in a real queue, step by step`, () => {
      /** For each entry the step that put it in. */
      const born = new Array<number>(queueSize).fill(0);
      for (let step = 0; step < 10; step++) {
        const ages = born.map((at) => step - at);
        const { mean, max } = queueAge(queueSize, batch, step);
        expect(mean, `step ${step}`).to.be.closeTo(ages.reduce((a, b) => a + b) / queueSize, 1e-12);
        expect(max, `step ${step}`).to.equal(Math.max(...ages));
        for (let i = 0; i < batch; i++) born[(step * batch + i) % queueSize] = step;
      }
    });
  }
});
