import { expect } from 'chai';
import { findLauncher, launcherDescriptors } from '../../src/distributed/mpi/launcher.js';
import { openMpiLibrary } from '../../src/distributed/mpi/library.js';

/** What launchers set, as they were seen to, and what is to be found. */
const known: readonly [title: string, environment: Record<string, string>, found: unknown][] = [
  ['none', {}, null],
  [
    'mpirun of Open MPI',
    {
      OMPI_COMM_WORLD_SIZE: '4',
      OMPI_COMM_WORLD_RANK: '2',
      OMPI_COMM_WORLD_LOCAL_RANK: '1',
      PMIX_RANK: '2',
    },
    { name: 'mpirun', family: 'openmpi', size: 4, rank: 2, local: 1 },
  ],
  ['mpirun of one process', { OMPI_COMM_WORLD_SIZE: '1', OMPI_COMM_WORLD_RANK: '0' }, null],
  [
    'mpiexec of MPICH or Intel MPI',
    { PMI_RANK: '1', PMI_SIZE: '2', PMI_FD: '9', MPI_LOCALRANKID: '1' },
    { name: 'mpiexec', family: 'mpich', size: 2, rank: 1, local: 1 },
  ],
  [
    'srun with PMI-2',
    {
      PMI_RANK: '3',
      PMI_SIZE: '8',
      PMI_FD: '6',
      SLURM_PROCID: '3',
      SLURM_LOCALID: '1',
      SLURM_STEP_NUM_TASKS: '8',
    },
    { name: 'srun --mpi=pmi2', family: 'mpich', size: 8, rank: 3, local: 1 },
  ],
  [
    'srun with PMIx',
    { PMIX_RANK: '0', SLURM_PROCID: '0', SLURM_STEP_NUM_TASKS: '2' },
    { name: 'srun --mpi=pmix', family: 'pmix', size: 2, rank: 0, local: 0 },
  ],
  [
    'srun without MPI',
    { SLURM_PROCID: '1', SLURM_STEP_NUM_TASKS: '2' },
    { name: 'srun', family: null, size: 2, rank: 1, local: 0 },
  ],
  ['a batch script of Slurm, whose job has several tasks', { SLURM_PROCID: '0', SLURM_NTASKS: '4' }, null],
  ['srun of one task', { SLURM_PROCID: '0', SLURM_STEP_NUM_TASKS: '1' }, null],
];

describe('launcher of MPI', () => {
  for (const [title, environment, found] of known) {
    it(`${title}: ${found === null ? 'alone' : 'found by its variables'}`, () => {
      expect(findLauncher(environment)).to.deep.equal(found);
    });
  }

  it('hands on the descriptor that the launcher listens at, and no other', () => {
    expect(launcherDescriptors({ PMI_FD: '9' })).to.deep.equal([9]);
    for (const none of [{}, { PMI_FD: '' }, { PMI_FD: '1' }, { PMI_FD: 'x' }]) {
      expect(launcherDescriptors(none)).to.deep.equal([]);
    }
  });

  it('a launcher whose processes cannot find each other, a library that does not load: one line', function () {
    if (process.platform !== 'linux') return this.skip();
    expect(() => openMpiLibrary({ name: 'srun', family: null })).to.throw(
      /^srun has started several tasks that cannot find each other; accepted: .*runtime\.mpi=off$/,
    );
    expect(() => openMpiLibrary({ name: 'mpirun', family: 'openmpi' }, '/nowhere/libmpi.so')).to.throw(
      /^runtime\.mpiLibrary \/nowhere\/libmpi\.so does not load \([^\n]+\); accepted: [^\n]+$/,
    );
    // A library, and none of MPI.
    expect(() => openMpiLibrary({ name: 'mpirun', family: 'openmpi' }, 'libm.so.6')).to.throw(
      /^runtime\.mpiLibrary libm\.so\.6 does not load \(it is no library of MPI\); accepted: [^\n]+$/,
    );
  });
});
