import type { Config } from '../../config/schema.js';
import { SlimclrError } from '../../errors.js';
import { findLauncher, type Launcher } from './launcher.js';
import { openMpiLibrary } from './library.js';
import { Mpi } from './mpi.js';

/** The launcher whose processes are to train together; null for one that trains alone. */
export function activeLauncher({ mpi }: Pick<Config['runtime'], 'mpi'>): Launcher | null {
  return mpi === 'off' ? null : findLauncher();
}

/**
 * Joins the processes that the launcher has started, which takes until all of them do or the process `parent` ends. Throws a
 * SlimclrError, in one line, where no library of MPI fits the launcher.
 */
export function joinMpi(
  launcher: Launcher,
  { mpiLibrary }: Pick<Config['runtime'], 'mpiLibrary'>,
  parent = process.ppid,
): Mpi {
  const mpi = new Mpi(openMpiLibrary(launcher, mpiLibrary), parent);
  const { path, version } = mpi.library;
  if (mpi.size === 1 || (launcher.size !== null && mpi.size !== launcher.size)) {
    throw new SlimclrError(
      `${launcher.name} has started ${launcher.size ?? 'several'} processes, of which ${path} (${version}) finds ` +
        `${mpi.size}; accepted: the library of the launcher, as runtime.mpiLibrary, or runtime.mpi=off`,
    );
  }
  return mpi;
}
