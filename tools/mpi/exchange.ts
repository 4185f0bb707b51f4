/**
 * What a rank takes to exchange: `mpirun -n 2 node dist/tools/mpi/exchange.js` prints seconds of a sum of 100 MB, of a gather
 * of 1 MB of each rank and of one of 100 bytes, medians.
 */
import { activeLauncher, joinMpi } from '../../src/distributed/mpi/joinMpi.js';
import { MpiGroup } from '../../src/distributed/mpi/mpiGroup.js';

const runtime = { mpi: 'auto', mpiLibrary: '' } as const;
const launcher = activeLauncher(runtime);
if (!launcher) throw new Error('no launcher of MPI has started this; accepted: mpirun, mpiexec, srun');
const mpi = joinMpi(launcher, runtime);
const group = new MpiGroup(mpi, (text) => new Error(text));

const values = new Float32Array(25_000_000).fill(group.rank);
const megabyte = new Float32Array(250_000);
const found = {
  'sum of 100 MB': await median(5, () => group.sum(values)),
  'gather of 1 MB': await median(9, () => group.gather(megabyte)),
  'gather of 100 bytes': await median(50, () => group.gather('x'.repeat(90))),
};
await group.end();
if (group.rank === 0) {
  const parts = Object.entries(found).map(([what, seconds]) => `${what} ${(1000 * seconds).toFixed(1)} ms`);
  console.log(`${group.size} ranks, ${mpi.library.version}: ${parts.join(', ')}`);
}

async function median(count: number, work: () => Promise<unknown>): Promise<number> {
  const seconds: number[] = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await work();
    seconds.push((performance.now() - began) / 1000);
  }
  return seconds.sort((a, b) => a - b)[count >> 1]!;
}
