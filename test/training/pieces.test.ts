import { expect } from 'chai';
import { momentumProgram } from '../../src/programs/key.js';
import { float64Scalar } from '../../src/runtime/session.js';
import { inPieces, PieceRuns } from '../../src/training/pieces.js';
import { openSession } from '../support/openSession.js';

describe('PieceRuns', () => {
  // A piece of 10: less than one a repetition, a part of a run, a whole run, more than one.
  const cases = [1, 3, 25, 30, 31, 75];
  for (const repetitions of [1, 3]) {
    it(`${repetitions} pieces a run: every element of a range once, in place, and none beside it`, async () => {
      const session = await openSession(momentumProgram(), { threads: 2, repetitions });
      for (const length of cases) {
        const query = Float32Array.from({ length: 80 }, (_, i) => 100 + i);
        const key = Float32Array.from({ length: 80 }, (_, i) => i);
        const range = { start: 2, end: 2 + length };
        const runs = new PieceRuns(session, range, { query, key }, { new_key: key }, 10);
        const before = session.runs;
        for (let step = 0; step < 2; step++) await runs.run({ momentum: float64Scalar(0.5) });
        expect(session.runs - before, `${length}`).to.equal(2 * Math.ceil(length / (10 * repetitions)));
        expect([...key], `${length}`).to.deep.equal(
          Array.from({ length: 80 }, (_, i) => (i >= range.start && i < range.end ? i + 75 : i)),
        );
      }
      await session.close();
    });
  }

  it('inPieces: tensors over the same part of several arenas, none longer than a piece', () => {
    const arenas = [new Float32Array(600_000), new Float32Array(600_000)];
    const found = [...inPieces({ start: 5, end: 599_999 }, ...arenas)];
    expect(found.map((tensors) => tensors.map(({ size }) => size))).to.deep.equal([
      [524_288, 524_288],
      [75_706, 75_706],
    ]);
    (found[1]![1]!.data as Float32Array)[0] = 7;
    expect(arenas[1]![5 + 524_288]).to.equal(7);
  });
});
