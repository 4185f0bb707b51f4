import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import type { LibraryHandle } from 'koffi';
import { basename, dirname, join } from 'node:path';
import { reasonOf, SlimclrError, UsageError } from '../../errors.js';
import { koffi, pin } from '../../koffi.js';
import { abiOf, exports, type Abi } from './abis.js';
import type { Launcher, MpiFamily } from './launcher.js';

/** A library of MPI that this process has loaded. */
export interface MpiLibrary {
  /** Path, or the name that the system's loader knows it by. */
  readonly path: string;
  /** E.g. `Open MPI 4.1.4`, in its own words. */
  readonly version: string;
  readonly abi: Abi;
  readonly handle: LibraryHandle;
}

/** Names of libraries of each interface; the standard one last, which older launchers do not know. */
const names: Readonly<Record<MpiFamily, readonly string[]>> = {
  openmpi: ['libmpi.so.40', 'libmpi_abi.so.1'],
  mpich: ['libmpi.so.12', 'libmpich.so.12', 'libmpi_abi.so.1'],
  pmix: ['libmpi.so.40', 'libmpi.so.12', 'libmpich.so.12', 'libmpi_abi.so.1'],
};

/** Programs of a launcher among the ancestors of what it has started. */
const launcherPrograms = /^(mpirun|mpiexec|orterun|orted|prte|prted|prterun|hydra_pmi_proxy)/;

/**
 * The library of MPI that fits a launcher: the one at `named`, or else the one that was installed with the launcher, or
 * else one that the system's loader finds. Throws a SlimclrError, in one line, where there is none.
 */
export function openMpiLibrary({ name, family }: Pick<Launcher, 'name' | 'family'>, named = ''): MpiLibrary {
  if (process.platform !== 'linux') {
    throw new SlimclrError(
      `${name} has started several processes, and MPI is used on Linux only; accepted: runtime.mpi=off`,
    );
  }
  if (family === null) {
    throw new SlimclrError(cannotMeet(name));
  }
  try {
    koffi();
  } catch (error) {
    throw new SlimclrError(
      `koffi, which calls MPI, does not load (${reasonOf(error)}); accepted: the packages as \`npm install\` leaves them`,
      { cause: error },
    );
  }
  if (named !== '') return openNamed(named, name, family);
  const found: string[] = [];
  for (const path of candidates(family)) {
    const library = load(path);
    if (library instanceof Error) continue;
    if (fits(library, family)) return keep(library);
    found.push(`${path} is ${library.version}`);
    library.handle.unload();
  }
  throw new SlimclrError(
    `no library of MPI here fits ${name} (${found.join(', ') || `none of ${names[family].join(', ')}`}); ` +
      `accepted: ${wanted[family]}, installed or named by runtime.mpiLibrary, or runtime.mpi=off`,
  );
}

/** Of a launcher without a family. */
export function cannotMeet(launcher: string): string {
  return (
    `${launcher} has started several tasks that cannot find each other; ` +
    'accepted: srun --mpi=pmi2 or --mpi=pmix, a single task, or runtime.mpi=off'
  );
}

/** Libraries of MPI that the system's loader finds, whatever has started this process. They are not kept. */
export function installedMpiLibraries(): Pick<MpiLibrary, 'path' | 'version'>[] {
  if (process.platform !== 'linux') return [];
  const found = new Map<string, string>();
  for (const path of names.pmix) {
    const library = load(path);
    if (library instanceof Error) continue;
    if (![...found.values()].includes(library.version)) found.set(path, library.version);
    library.handle.unload();
  }
  return Array.from(found, ([path, version]) => ({ path, version }));
}

const wanted: Readonly<Record<MpiFamily, string>> = {
  openmpi: 'Open MPI (libmpi.so.40)',
  mpich: 'MPICH or Intel MPI (libmpi.so.12)',
  pmix: 'Open MPI (libmpi.so.40)',
};

function openNamed(path: string, launcher: string, family: MpiFamily): MpiLibrary {
  const library = load(path);
  if (library instanceof Error) {
    throw new UsageError(
      `runtime.mpiLibrary ${path} does not load (${reasonOf(library)}); accepted: the path of a library of MPI`,
      { cause: library },
    );
  }
  if (fits(library, family)) return keep(library);
  library.handle.unload();
  throw new UsageError(
    `runtime.mpiLibrary ${path} is ${library.version}, which ${launcher} cannot join; accepted: ${wanted[family]}`,
  );
}

/** Those installed with the launcher first, then those of the system. */
function candidates(family: MpiFamily): string[] {
  const folders = launcherFolders().flatMap((bin) =>
    ['lib', 'lib64', 'lib/release'].map((folder) => join(dirname(bin), folder)),
  );
  const beside = folders.flatMap((folder) => names[family].map((name) => join(folder, name)));
  return [...beside.filter((path) => existsSync(path)), ...names[family]];
}

/** Folders of the launcher's programs that lead to this process. */
function launcherFolders(): string[] {
  const folders: string[] = [];
  try {
    for (let pid = process.ppid; pid > 1; pid = parentOf(pid)) {
      const program = readlinkSync(`/proc/${pid}/exe`);
      if (launcherPrograms.test(basename(program))) folders.push(dirname(program));
    }
  } catch {
    // That of another user, or already gone.
  }
  return [...new Set(folders)];
}

function parentOf(pid: number): number {
  // Name in parentheses, state, parent.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return Number(fields[1]);
}

/**
 * Local: what it exports does not come before what another library that is tried exports.
 *
 * UCX, by which MPICH, Intel MPI and Open MPI may send, puts its own functions in the place of those that give and take
 * memory as soon as it is loaded, and to try them it moves the end of the heap up by a page and back again. Where another
 * thread, of which Node.js has several, extends the heap in between, its new memory is gone: SIGSEGV in 6 of 450 processes
 * that loaded MPICH 4.0.2 with UCX 1.13.1, in none of 600 that had it off. It serves memory that is given back while it is
 * registered for sending; what is sent here is kept as long as the process.
 */
function load(path: string): MpiLibrary | Error {
  process.env.UCX_MEM_EVENTS ??= 'n';
  try {
    const handle = koffi().load(path, { lazy: true });
    if (!exports(handle, 'MPI_Init_thread')) {
      handle.unload();
      return new Error('it is no library of MPI');
    }
    return { path, handle, abi: abiOf(handle), version: versionOf(handle) };
  } catch (error) {
    return error as Error;
  }
}

function versionOf(handle: LibraryHandle): string {
  const text = Buffer.alloc(8192);
  const length: [number] = [0];
  (
    handle.func('int MPI_Get_library_version(void *, _Out_ int *)') as (
      text: Buffer,
      length: [number],
    ) => number
  )(text, length);
  const [line = ''] = text.toString('latin1', 0, length[0]).split(/[\n\0]/, 1);
  // `Open MPI v4.1.4, package: ...`, `MPICH Version:      4.0.2`, `Intel(R) MPI Library 2021.13 for Linux* OS`.
  return line
    .split(', ', 1)[0]!
    .replace(/\s+(version:\s*|v(?=\d))/i, ' ')
    .trim();
}

function fits({ version }: MpiLibrary, family: MpiFamily): boolean {
  return family === 'pmix' || version.startsWith('Open MPI') === (family === 'openmpi');
}

/**
 * Of the one that is used: its modules, which it loads itself, find its functions, and it stays to the end of the
 * process. koffi unloads it before the threads end that still have to leave it.
 */
function keep(library: MpiLibrary): MpiLibrary {
  pin(library.path, { global: true });
  return library;
}
