import { expect } from 'chai';
import { roundToBfloat16 } from '../../src/distributed/bfloat16.js';
import { alone, groupSetup, ThreadGroup } from '../../src/distributed/replicaGroup.js';
import { rejection } from '../support/rejection.js';

describe('replica group', () => {
  let groups: readonly ThreadGroup[];

  beforeEach(() => {
    const setup = groupSetup(3);
    groups = [0, 1, 2].map((rank) => new ThreadGroup(setup, rank));
  });
  afterEach(() => groups.forEach((group) => group.close()));

  it('gathers values in the order of the ranks, meeting after meeting, whoever comes first', async () => {
    const gathered = await Promise.all(
      [2, 0, 1].map(async (rank) => {
        const first = await groups[rank]!.gather({ rank, values: Float32Array.of(rank) });
        const second = await groups[rank]!.gather(`second of ${rank}`);
        return { first, second };
      }),
    );
    for (const { first, second } of gathered) {
      expect(first.map(({ rank, values }) => [rank, values[0]])).to.deep.equal([[0, 0], [1, 1], [2, 2]]); // prettier-ignore
      expect(second).to.deep.equal(['second of 0', 'second of 1', 'second of 2']);
    }
  });

  it('sums arrays longer than the shared memory and shorter than the group, the same bits in each', async () => {
    for (const length of [4 * 1024 * 1024 + 5, 2]) {
      const values = groups.map(({ rank }) =>
        Float32Array.from({ length }, (_, i) => (i % 1000) / (rank + 3)),
      );
      const expected = Float32Array.from({ length }, (_, i) => values.reduce((sum, v) => sum + v[i]!, 0));
      await Promise.all(groups.map((group, rank) => group.sum(values[rank]!)));
      for (const sum of values) {
        expect(Buffer.compare(Buffer.from(sum.buffer), Buffer.from(expected.buffer))).to.equal(0);
      }
    }
  });

  it('sums what travels as bfloat16: each value and the sum rounded once, the same bits in each', async () => {
    const values = groups.map(({ rank }) => Float32Array.from({ length: 1001 }, (_, i) => (i - 500) / (rank + 3))); // prettier-ignore
    const rounded = values.map((own) => own.slice());
    rounded.forEach(roundToBfloat16);
    const expected = Float32Array.from(rounded[0]!, (_, i) => rounded.reduce((sum, v) => sum + v[i]!, 0));
    roundToBfloat16(expected);
    await Promise.all(groups.map((group, rank) => group.sum(values[rank]!, 'bfloat16')));
    for (const sum of values) expect(sum).to.deep.equal(expected);
  });

  it('whoever waits for a replica that failed, and whoever comes later, gets its error', async () => {
    const waiting = rejection(groups[0]!.gather(0));
    groups[0]!.fail(new Error('replica 1 is gone'));
    expect((await waiting).message).to.equal('replica 1 is gone');
    expect((await rejection(groups[0]!.sum(new Float32Array(1)))).message).to.equal('replica 1 is gone');
  });

  it('alone: what one brings is what it gets', async () => {
    const values = Float32Array.of(1, 2);
    await alone.sum(values);
    expect([...values]).to.deep.equal([1, 2]);
    expect(await alone.gather('own')).to.deep.equal(['own']);
  });
});
