/**
 * One rank of a group with a time limit, started by a launcher of MPI: the rank `LATE_RANK` stops in the meeting
 * `LATE_MOMENT`, or rank 0 is `busy` for longer than the limit. Whoever finds that out prints it and ends all.
 */
import { activeLauncher, joinMpi } from '../../src/distributed/mpi/joinMpi.js';
import { MpiGroup } from '../../src/distributed/mpi/mpiGroup.js';

const { LATE_RANK, LATE_MOMENT } = process.env;
const runtime = { mpi: 'auto', mpiLibrary: '' } as const;
const group = new MpiGroup(joinMpi(activeLauncher(runtime)!, runtime), (text) => new Error(text));
const { rank } = group;
const values = new Float32Array(LATE_MOMENT === 'sum' ? 4_000_000 : 1000);
const late = rank === Number(LATE_RANK);
const stop = () => process.kill(process.pid, 'SIGSTOP');

try {
  await group.gather(null);
  group.limitWaiting(1);
  if (LATE_MOMENT === 'busy') {
    if (rank === 0) await group.whileBusy(() => new Promise((resolve) => setTimeout(resolve, 9000)));
  } else if (LATE_MOMENT === 'meeting') {
    if (late) stop();
  } else if (late) setTimeout(stop, 100);
  await group.gather(null);
  for (let i = 0; i < (LATE_MOMENT === 'sum' ? 1000 : 1); i++) await group.sum(values);
  await group.end();
  if (rank === 0) process.stdout.write('all came\n');
} catch (error) {
  process.stdout.write(`from rank ${rank}: ${(error as Error).message}\n`, () =>
    setTimeout(() => group.abort(1), 500),
  );
}
