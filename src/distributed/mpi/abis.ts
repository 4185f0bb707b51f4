import type { LibraryHandle } from 'koffi';

/** What differs between the binary interfaces of MPI libraries: the type and values of handles, special addresses. */
export interface Abi {
  readonly name: 'Open MPI' | 'MPICH' | 'standard';
  /** C type of communicators, data types and requests. */
  readonly handle: 'void *' | 'int';
  readonly world: Handle;
  readonly byte: Handle;
  readonly float: Handle;
  readonly errorsReturn: Handle;
  readonly statusIgnore: bigint;
  readonly anySource: number;
  /** MPI_THREAD_SERIALIZED. */
  readonly serialized: number;
}

export type Handle = bigint | number;

/** Open MPI up to version 5: handles are the addresses of variables that the library exports. */
function openMpi(library: LibraryHandle): Abi {
  const address = (name: string) => library.symbol(name) as bigint;
  return {
    name: 'Open MPI',
    handle: 'void *',
    world: address('ompi_mpi_comm_world'),
    byte: address('ompi_mpi_byte'),
    float: address('ompi_mpi_float'),
    errorsReturn: address('ompi_mpi_errors_return'),
    statusIgnore: 0n,
    anySource: -1,
    serialized: 2,
  };
}

/** MPICH since 3.1, Intel MPI, MVAPICH and Cray's: handles are integers (mpi.h of MPICH). */
const mpich: Abi = {
  name: 'MPICH',
  handle: 'int',
  world: 0x44000000,
  byte: 0x4c00010d,
  float: 0x4c00040a,
  errorsReturn: 0x54000001,
  statusIgnore: 1n,
  anySource: -2,
  serialized: 2,
};

/** The standard interface of MPI 5.0, libmpi_abi.so: handles are small constants as pointers (MPI 5.0, chapter 20). */
const standard: Abi = {
  name: 'standard',
  handle: 'void *',
  world: 0x101n,
  byte: 0x247n,
  float: 0x210n,
  errorsReturn: 0x143n,
  statusIgnore: 0n,
  anySource: -1,
  serialized: 2048,
};

/** That of a loaded library, by what it exports; MPI need not be initialised. */
export function abiOf(library: LibraryHandle): Abi {
  if (exports(library, 'ompi_mpi_comm_world')) return openMpi(library);
  if (exports(library, 'MPI_Abi_get_version')) {
    const version = library.func('int MPI_Abi_get_version(_Out_ int *, _Out_ int *)') as (
      major: [number],
      minor: [number],
    ) => number;
    const major: [number] = [0];
    version(major, [0]);
    // MPICH's own interface has the function, too, and says -1.
    if (major[0] >= 1) return standard;
  }
  return mpich;
}

export function exports(library: LibraryHandle, name: string): boolean {
  try {
    library.symbol(name);
    return true;
  } catch {
    return false;
  }
}
