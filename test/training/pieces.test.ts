import { expect } from 'chai';
import { momentumProgram } from '../../src/programs/key.js';
import { Arena } from '../../src/engines/arena.js';
import type { Engine } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { pieceRuns } from '../../src/training/pieces.js';
import { openStepGraphs } from '../support/stepGraphs.js';

describe('pieceRuns', () => {
  let engine: Engine;
  before(async () => (engine = await openEngine({ provider: 'cpu', threads: 2 })));
  after(() => engine.close());

  // A piece of 10: less than one a repetition, a part of a run, a whole run, more than one.
  const cases = [1, 3, 25, 30, 31, 75];
  for (const repetitions of [1, 3]) {
    it(`${repetitions} pieces a run: every element of a range once, in place, and none beside it`, async () => {
      const graphs = await openStepGraphs(engine, [momentumProgram()], {
        repetitions: new Map([['momentum', repetitions]]),
      });
      const memory = engine.allocate('float64', 1);
      await engine.write(memory, Float64Array.of(0.5));
      const scalars = { momentum: { memory, offset: 0, shape: [] } };
      for (const length of cases) {
        const [query, key] = [0, 1].map(() => new Arena(engine, [{ name: 'all', shape: [80] }])) as [
          Arena,
          Arena,
        ];
        await query.writeAll(Float32Array.from({ length: 80 }, (_, i) => 100 + i));
        await key.writeAll(Float32Array.from({ length: 80 }, (_, i) => i));
        const range = { start: 2, end: 2 + length };
        const arenas = { inputs: { query, key }, outputs: { new_key: key }, scalars };
        const runs = pieceRuns(graphs, 'momentum', range, arenas, 10);
        expect(runs, `${length}`).to.have.length(Math.ceil(length / (10 * repetitions)));
        for (let step = 0; step < 2; step++) await graphs.run(runs);
        expect([...(await key.readAll())], `${length}`).to.deep.equal(
          Array.from({ length: 80 }, (_, i) => (i >= range.start && i < range.end ? i + 75 : i)),
        );
      }
      await graphs.close();
    });
  }
});
