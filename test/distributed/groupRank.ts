/** One rank of a group, started by a launcher of MPI: meets the others in all ways; rank 0 prints what it found. */
import { expect } from 'chai';
import { roundToBfloat16 } from '../../src/distributed/bfloat16.js';
import { activeLauncher, joinMpi } from '../../src/distributed/mpi/joinMpi.js';
import { MpiGroup } from '../../src/distributed/mpi/mpiGroup.js';

const runtime = { mpi: 'auto', mpiLibrary: process.env.SLIMCLR_MPI_LIBRARY ?? '' } as const;
const launcher = activeLauncher(runtime)!;
const mpi = joinMpi(launcher, runtime);
const group = new MpiGroup(mpi, (text) => new Error(text));
const { rank, size } = group;

/** Of a rank: numbers whose sum depends on the order, signed zeros too. */
function numbers(length: number, of: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => (i % 7 === 0 ? -0 : ((i % 1000) - 500) / (of + 3)));
}

for (const length of [1, 5, 1000, 1_000_003]) {
  const values = numbers(length, rank);
  await group.sum(values);
  const parts = Array.from({ length: size }, (_, of) => numbers(length, of));
  const expected = Float32Array.from({ length }, (_, i) => parts.reduce((sum, part) => sum + part[i]!, 0));
  expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(expected.buffer)), `${length}`).to.equal(0);
}
{
  const values = Float32Array.from(
    { length: 4 * 1024 * 1024 + 5 },
    (_, i) => ((i % 1000) - 500) / (rank + 3),
  );
  const parts = Array.from({ length: size }, (_, of) => Float32Array.from(values, (_, i) => ((i % 1000) - 500) / (of + 3))); // prettier-ignore
  for (const part of parts) roundToBfloat16(part);
  const expected = Float32Array.from(values, (_, i) => parts.reduce((sum, part) => sum + part[i]!, 0));
  roundToBfloat16(expected);
  await group.sum(values, 'bfloat16');
  expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(expected.buffer)), 'bfloat16').to.equal(0);
}
// Asked for at the same time, short and long.
const [short, long, map, first, second] = await Promise.all([
  group.gather({ rank }),
  group.gather(Float32Array.from({ length: 1000 * (rank + 1) }, () => rank)),
  group.gather(new Map([['rank', rank]])),
  group.gather(Float64Array.of(rank)),
  group.gather(Float64Array.of(-rank)),
]);
const ranks = Array.from({ length: size }, (_, i) => i);
expect(short.map((value) => value.rank)).to.deep.equal(ranks);
expect(long.map((value) => [value.length, value[0]])).to.deep.equal(ranks.map((i) => [1000 * (i + 1), i]));
expect(map.map((value) => value.get('rank'))).to.deep.equal(ranks);
expect(first.map((value) => value[0])).to.deep.equal(ranks);
expect(second.map((value) => value[0])).to.deep.equal(ranks.map((i) => -i));
const state = numbers(100_001, rank);
await group.broadcast(state);
expect(Buffer.compare(Buffer.from(state.buffer), Buffer.from(numbers(100_001, 0).buffer))).to.equal(0);
// One that comes late is waited for without a processor.
const used = process.cpuUsage();
if (rank === size - 1) await new Promise((resolve) => setTimeout(resolve, 1000));
await group.gather(null);
const { user, system } = process.cpuUsage(used);
const [seconds] = await group.gather((user + system) / 1e6);
await group.end();
if (rank === 0) {
  process.stdout.write(
    `${JSON.stringify({ launcher: launcher.name, size, version: mpi.library.version, waited: seconds })}\n`,
  );
}
