/** Whose libraries a launcher can wire up: those of Open MPI, those of MPICH and its relatives, or, by PMIx, both. */
export type MpiFamily = 'openmpi' | 'mpich' | 'pmix';

/** What has started this process, one of several. */
export interface Launcher {
  /** The command, for people. */
  readonly name: string;
  /** Null: the processes that it has started cannot find each other. */
  readonly family: MpiFamily | null;
  /** Processes that it has started; null where it does not tell. */
  readonly size: number | null;
  readonly rank: number;
  /** Its number among those on this machine; 0 where the launcher does not tell. */
  readonly local: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The launcher that started this process as one of several, by the variables it sets: mpirun of Open MPI, hydra's mpiexec
 * (MPICH, Intel MPI), also where a Kubeflow MPIJob calls them, and Slurm's srun with PMI-2 or PMIx. Null for a process
 * that was started alone.
 */
export function findLauncher(environment: Environment = process.env): Launcher | null {
  const number = (name: string) => {
    const text = environment[name] ?? '';
    return /^\d+$/.test(text) ? Number(text) : null;
  };
  // Of the step: those of the whole job are there in a batch script, too.
  const slurm = number('SLURM_STEP_NUM_TASKS');
  const local =
    ['OMPI_COMM_WORLD_LOCAL_RANK', 'MPI_LOCALRANKID', 'PALS_LOCAL_RANKID', 'SLURM_LOCALID']
      .map(number)
      .find((rank) => rank !== null) ?? 0;
  const found = (name: string, family: MpiFamily | null, size: number | null, rank: number | null) =>
    rank === null || size === 1 ? null : { name, family, size, rank, local };
  if (environment.OMPI_COMM_WORLD_SIZE !== undefined) {
    return found('mpirun', 'openmpi', number('OMPI_COMM_WORLD_SIZE'), number('OMPI_COMM_WORLD_RANK'));
  }
  if (environment.PMIX_RANK !== undefined) {
    return found(slurm === null ? 'prterun' : 'srun --mpi=pmix', 'pmix', slurm, number('PMIX_RANK'));
  }
  if (environment.PMI_RANK !== undefined) {
    const size = number('PMI_SIZE') ?? slurm;
    return found(slurm === null ? 'mpiexec' : 'srun --mpi=pmi2', 'mpich', size, number('PMI_RANK'));
  }
  return slurm === null ? null : found('srun', null, slurm, number('SLURM_PROCID'));
}

/**
 * File descriptors over which the launcher talks to this process, which a child that is to speak MPI needs under the same
 * numbers: of hydra and of Slurm's PMI-2.
 */
export function launcherDescriptors(environment: Environment = process.env): readonly number[] {
  const descriptor = Number(environment.PMI_FD ?? NaN);
  return Number.isInteger(descriptor) && descriptor > 2 ? [descriptor] : [];
}
