import { expect } from 'chai';
import { AccuracyCounter } from '../../src/evaluation/accuracy.js';

describe('AccuracyCounter', () => {
  it('7 classes, right class first, fifth, sixth: top-1 1/3, top-5 2/3', () => {
    const counter = new AccuracyCounter();
    const scores = [7, 6, 5, 4, 3, 2, 1];
    for (const label of [0, 4, 5]) counter.add(scores, label);
    expect(counter.accuracy).to.deep.equal({ top1: 1 / 3, top5: 2 / 3 });
  });

  it('all scores equal: the classes of lowest index win', () => {
    const counter = new AccuracyCounter();
    for (let label = 0; label < 10; label++) counter.add(new Float32Array(10), label);
    expect(counter.accuracy).to.deep.equal({ top1: 0.1, top5: 0.5 });
  });
});
