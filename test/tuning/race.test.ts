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
  it('medians of three rounds in turns, after a run each that does not count', async () => {
    const { runs, order, now } = contest([
      [900, 10, 30, 11],
      [1, 12, 10, 12.5],
    ]);
    expect(await race(runs, now)).to.deep.equal([11, 12]);
    expect(order).to.deep.equal([0, 1, 0, 1, 0, 1, 0, 1]);
  });

  it('a candidate that falls behind by more than a fifth in two rounds runs no more', async () => {
    const { runs, order, now } = contest([[20], [25], [24]]);
    expect(await race(runs, now)).to.deep.equal([20, 25, 24]);
    expect(order).to.deep.equal([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 2]);
  });

  it('short runs: more rounds, nine at most', async () => {
    const { runs, order, now } = contest([[1], [1.1]]);
    await race(runs, now);
    expect(order).to.have.length(2 * (1 + 9));
  });
});
