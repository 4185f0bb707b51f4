import { expect } from 'chai';
import { floats, HostGraph } from '../../src/engines/hostGraph.js';
import { rejection } from '../support/rejection.js';
import { model } from './models.js';

const negative = model({ inputs: { x: [1024] }, outputs: { y: [1024] }, nodes: [['Neg', ['x'], ['y']]] });

describe('HostGraph', () => {
  it('keeps runs apart that are asked for at the same time', async () => {
    const graph = await HostGraph.open(negative, { provider: 'cpu', threads: 1 });
    try {
      const numbers = [1, 2, 3, 4, 5, 6, 7, 8];
      const runs = numbers.map((value) =>
        graph.run({ x: floats(new Float32Array(1024).fill(value), [1024]) }),
      );
      for (const [i, { y }] of (await Promise.all(runs)).entries()) {
        expect([...new Set(y!.data as Float32Array)]).to.deep.equal([-numbers[i]!]);
      }
    } finally {
      await graph.close();
    }
  });

  it('runs on after a run that failed', async () => {
    const graph = await HostGraph.open(negative, { provider: 'cpu', threads: 1 });
    try {
      const wrong = graph.run({ x: { dtype: 'uint8', shape: [1024], data: new Uint8Array(1024) } });
      const right = graph.run({ x: floats(new Float32Array(1024).fill(2), [1024]) });
      expect((await rejection(wrong)).message).to.equal('test: x is uint8; accepted: float32');
      expect((await right).y!.data[0]).to.equal(-2);
    } finally {
      await graph.close();
    }
  });
});
