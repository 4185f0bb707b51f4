import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { executable } from '../cli/slimclr.js';

/** Open MPI refuses the root user, whom containers have, unless it is told twice. */
export const launcherEnvironment = {
  // Containers may not let one process read the memory of another.
  OMPI_MCA_btl_vader_single_copy_mechanism: 'none',
  ...process.env,
  ...{ OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' },
  ...{ PRTE_ALLOW_RUN_AS_ROOT: '1', PRTE_ALLOW_RUN_AS_ROOT_CONFIRM: '1' },
};

/** A launcher of MPI that is installed here; MPICH: or one of its relatives. */
export interface TestLauncher {
  readonly name: 'Open MPI' | 'MPICH';
  readonly command: string;
  readonly options: readonly string[];
}

/**
 * The installed ones; a test of one that is not is skipped. Debian has both, under names of their own; the variables name
 * others.
 */
export const launchers: readonly TestLauncher[] = [
  ...found('Open MPI', commands('SLIMCLR_OPENMPI', 'mpirun.openmpi', 'mpirun'), /Open MPI|Open RTE|OpenRTE/, [
    '--oversubscribe',
  ]),
  ...found(
    'MPICH',
    commands('SLIMCLR_MPICH', 'mpiexec.mpich', 'mpiexec.hydra', 'mpiexec'),
    /HYDRA|MPICH|Intel\(R\) MPI/,
    [],
  ),
];

export const launcherNames = ['Open MPI', 'MPICH'] as const;

export function launcherOf(name: TestLauncher['name']): TestLauncher | undefined {
  return launchers.find((launcher) => launcher.name === name);
}

function commands(variable: string, ...names: readonly string[]): readonly string[] {
  const named = process.env[variable];
  return named === undefined ? names : [named];
}

function found(
  name: TestLauncher['name'],
  commands: readonly string[],
  version: RegExp,
  options: readonly string[],
): TestLauncher[] {
  const command = commands.find((command) => {
    try {
      return version.test(
        execFileSync(command, ['--version'], { encoding: 'utf8', stdio: 'pipe', env: launcherEnvironment }),
      );
    } catch {
      return false;
    }
  });
  return command === undefined ? [] : [{ name, command, options }];
}

export interface LaunchOutcome {
  readonly code: number | null;
  readonly stdout: string;
  /** Of all ranks and of the launcher. */
  readonly stderr: string;
}

export interface Launched {
  readonly child: ChildProcess;
  readonly exited: Promise<LaunchOutcome>;
}

/** Starts ranks of a command. */
export function launch(launcher: TestLauncher, ranks: number, ...command: readonly string[]): Launched {
  const child = spawn(launcher.command, [...launcher.options, '-n', String(ranks), ...command], {
    env: launcherEnvironment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = new Promise<LaunchOutcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, exited };
}

/** Starts `slimclr` as ranks, each behind a script of the shell that may look at `$rank`. */
export function launchSlimclr(
  launcher: TestLauncher,
  ranks: number,
  args: readonly string[],
  script = '',
): Launched {
  const shell = `rank=\${PMI_RANK:-$OMPI_COMM_WORLD_RANK}; ${script}\nexec "$@"`;
  return launch(launcher, ranks, 'sh', '-c', shell, 'sh', process.execPath, executable, ...args);
}
