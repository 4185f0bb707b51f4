import { expect } from 'chai';
import { race } from '../../src/tuning/race.js';

/** Candidates that take the milliseconds of their lists, one a run, on a clock of their own. */
function contest(durations: readonly (readonly number[])[]) {
  let time = 0;
  const order: number[] = [];
  const runs = durations.map((list, i) => {
    let run = 0;
    return () => {
      time += list[Math.min(run++, list.length - 1)]!;
      order.push(i);
      return Promise.resolve();
    };
  });
  return { runs, order, now: () => time };
}

describe('race', () => {
  it('two rounds in turns, after a run each that does not count; the mean of two is their median', async () => {
    const { runs, order, now } = contest([
      [900, 20, 24],
      [1, 18, 22],
    ]);
    expect(await race(runs, now)).to.deep.equal([22, 20]);
    expect(order).to.deep.equal([0, 1, 0, 1, 0, 1]);
  });

  it('short runs: more rounds, their median, without a candidate that was a fifth slower twice', async () => {
    const { runs, order, now } = contest([
      [9, 2, 4, 3, 2, 2],
      [9, 2.5, 2.5, 1],
      [9, 2.375, 9, 2.125, 2.25, 2],
    ]);
    // 30 / (2 + 2.5 + 2.375) rounds.
    expect(await race(runs, now)).to.deep.equal([2, 2.5, 2.25]);
    expect(order.filter((i) => i === 1)).to.have.length(1 + 2);
    expect(order.filter((i) => i === 2)).to.have.length(1 + 5);
  });

  it('the shortest runs: nine rounds', async () => {
    const { runs, order, now } = contest([[1], [1.1]]);
    await race(runs, now);
    expect(order).to.have.length(2 * (1 + 9));
  });
});
