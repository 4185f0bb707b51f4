import { expect } from 'chai';
import { groupSetup, ThreadGroup } from '../../src/distributed/replicaGroup.js';
import { Arena } from '../../src/engines/arena.js';
import type { Engine } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { batchNormMomentum } from '../../src/nn/switchableBatchNorm.js';
import type { GraphEntry } from '../../src/programs/manifest.js';
import { Random } from '../../src/random.js';
import { MovedStatistics } from '../../src/training/movedStatistics.js';
import { normal } from '../support/samples.js';

const names = ['key.mean', 'wide.mean', 'wide.var', 'narrow.mean'];
const entries = names.map((name) => ({ name, shape: [37] }));
/** A graph that moves some of them; nothing else of it is read. */
const graph = (...of: readonly string[]) => ({ outputs: of.map((name) => ({ of: name })) }) as unknown as GraphEntry; // prettier-ignore
/** With the passes of a replica's step; the narrow width rests. */
const graphs = [
  { entry: graph('key.mean'), passes: 2 },
  { entry: graph('wide.mean', 'wide.var', 'wide.gradient'), passes: 4 },
];

/** Remembers what is gathered in whole. */
class WatchedGroup extends ThreadGroup {
  bytes = 0;

  override gather<T>(value: T): Promise<readonly T[]> {
    if (ArrayBuffer.isView(value)) this.bytes += value.byteLength;
    return super.gather(value);
  }
}

describe('running statistics of replicas', () => {
  let engine: Engine;
  before(async () => (engine = await openEngine({ provider: 'cpu', threads: 1 })));
  after(() => engine.close());

  for (const size of [2, 4]) {
    it(`${size}: as if their micro-batches had come one after the other, the same bits in each, and no arena is sent whole`, async () => {
      const random = new Random(size);
      const before = Float32Array.from(normal(random, entries.length * 48));
      /** Batch statistics by rank and micro-batch. */
      const batches = Array.from({ length: size }, () =>
        Array.from({ length: 4 }, () => Float32Array.from(normal(random, 37))),
      );
      const setup = groupSetup(size);
      const groups = batches.map((_, rank) => new WatchedGroup(setup, rank));
      const arenas = groups.map(() => new Arena(engine, entries));
      try {
        await Promise.all(
          groups.map(async (group, rank) => {
            const arena = arenas[rank]!;
            await arena.writeAll(before);
            const statistics = new MovedStatistics(arena, group);
            await statistics.begin();
            for (const { entry, passes } of graphs) {
              for (let pass = 0; pass < passes; pass++) {
                for (const { of } of entry.outputs) {
                  if (!arena.has(of!)) continue;
                  const values = (await arena.read(of!)).slice();
                  await arena.write(of!, Float32Array.from(values, moved(batches[rank]![pass]!)));
                }
                statistics.move(entry);
              }
            }
            await statistics.join();
          }),
        );
        for (const name of names) {
          const offset = arenas[0]!.offset(name);
          let expected: Float64Array = Float64Array.from(before.subarray(offset, offset + 37));
          const passes = graphs.find(({ entry }) => entry.outputs.some(({ of }) => of === name))?.passes ?? 0;
          for (const own of batches) {
            for (const batch of own.slice(0, passes)) expected = expected.map(moved(batch));
          }
          const first = (await arenas[0]!.read(name)).slice();
          for (const [i, value] of expected.entries()) expect(first[i], name).to.be.closeTo(value, 1e-6);
          for (const arena of arenas) expect(await arena.read(name)).to.deep.equal(first);
        }
        expect(groups.map(({ bytes }) => bytes)).to.deep.equal(groups.map(() => 0));
      } finally {
        for (const group of groups) group.close();
      }
    });
  }
});

/** What batch norm makes of a running statistic. */
function moved(batch: Float32Array): (value: number, i: number) => number {
  return (value, i) => (1 - batchNormMomentum) * value + batchNormMomentum * batch[i]!;
}
