import { cpus } from 'node:os';
import type { Config } from '../config/schema.js';
import { checkConfig } from '../config/check.js';
import { counted } from '../counted.js';
import { joinMpi } from '../distributed/mpi/joinMpi.js';
import type { Launcher } from '../distributed/mpi/launcher.js';
import { MpiGroup } from '../distributed/mpi/mpiGroup.js';
import { SlimclrError, UsageError } from '../errors.js';
import { allowedCpuList, usableThreads } from '../limits.js';
import { version } from '../version.js';
import { thisMachine } from './processes.js';
import { revived, sent, type SentError } from './sentError.js';

/** What the ranks know of each other from the start. */
interface Introduction {
  readonly slimclr: string;
  /** What rounding may depend on beside the versions of packages: functions such as Math.cos, and instructions. */
  readonly node: string;
  readonly architecture: string;
  readonly host: string;
  readonly boot: string | null;
  /** CPUs that it may run on, and how many threads it can keep busy. */
  readonly cpus: readonly number[];
  readonly threads: number;
}

/** Milliseconds that rank 0 has to end all ranks when another one has failed, before that one does. */
const patience = 10_000;

/** The processes of a training that a launcher has started, one replica each, and which of them this is. */
export class Ranks {
  readonly group: MpiGroup;

  private constructor(
    group: MpiGroup,
    private readonly launcher: Launcher,
    private readonly introductions: readonly Introduction[],
  ) {
    this.group = group;
  }

  /**
   * Waits for all of them, or until the process `parent` ends. Throws a SlimclrError, in one line, where no library of MPI
   * fits the launcher.
   */
  static async join(launcher: Launcher, runtime: Config['runtime'], parent: number): Promise<Ranks> {
    const group = new MpiGroup(joinMpi(launcher, runtime, parent), (text) =>
      revived(JSON.parse(text) as SentError),
    );
    const { host, boot } = thisMachine();
    const own: Introduction = {
      ...{ slimclr: version, node: process.versions.node.split('.')[0]!, architecture: process.arch },
      ...{ host, boot, cpus: allowedCpuList(), threads: usableThreads() },
    };
    const all = (await group.gatherText(JSON.stringify(own))).map((text) => JSON.parse(text) as Introduction);
    const ranks = new Ranks(group, launcher, all);
    group.nameOf = (rank) => ranks.nameOf(rank);
    return ranks;
  }

  /** Throws a SlimclrError where another version of this package, or of what it runs on, has been started. */
  check(): void {
    for (const [what, key] of [
      ['slimclr', 'slimclr'],
      ['Node.js', 'node'],
      ['processors of', 'architecture'],
    ] as const) {
      this.refuseDifference(
        what,
        this.introductions.map((introduction) => introduction[key]),
      );
    }
  }

  get leads(): boolean {
    return this.group.rank === 0;
  }

  /** Of a rank, for people. */
  nameOf(rank: number): string {
    return `rank ${rank} on ${this.introductions[rank]!.host}`;
  }

  /** Throws a SlimclrError where `values`, one of each rank, are not all the same. */
  refuseDifference(what: string, values: readonly string[]): void {
    const other = values.findIndex((value) => value !== values[0]);
    if (other < 0) return;
    throw new SlimclrError(
      `${this.nameOf(other)} has ${what} ${values[other]}, ${this.nameOf(0)} ${values[0]}; accepted: the same everywhere`,
    );
  }

  /**
   * The config of a run of all ranks, as one process with as many `runtime.replicas` has it. Throws a UsageError where
   * they cannot share a step. `resumed`: one that goes on may have been begun with another number.
   */
  configOf(config: Config, resumed: boolean): Config {
    const { size } = this.group;
    const { replicas } = config.runtime;
    const by = `${size} ranks of ${this.launcher.name}`;
    if (!resumed && replicas !== 1 && replicas !== size) {
      throw new UsageError(
        `runtime.replicas ${replicas} with ${by}, one replica each; accepted: 1 or ${size}`,
      );
    }
    const { accumulation, batchSize } = config;
    if (accumulation % size !== 0) {
      const images = batchSize * accumulation;
      const same =
        images % size === 0 ? `, such as batchSize=${images / size} with accumulation=${size}` : '';
      throw new UsageError(
        `${by} cannot share accumulation ${accumulation} equally; accepted: accumulation of a multiple of ${size}${same}`,
      );
    }
    const shared = { ...config, runtime: { ...config.runtime, replicas: size } };
    const [problem] = checkConfig(shared);
    if (problem !== undefined) throw new UsageError(problem);
    return shared;
  }

  /**
   * What this rank runs on: of the CPUs that it and others on its machine may run on an equal share, of the CUDA devices the
   * one of its number on the machine.
   */
  runtimeOf(runtime: Config['runtime']): Config['runtime'] {
    const { own, neighbours, rivals } = this.#places();
    const share = Math.max(1, Math.floor(own.threads / rivals.length));
    const local = neighbours.indexOf(own);
    // Slurm may show each task its own devices alone.
    const visible = process.env.CUDA_VISIBLE_DEVICES?.split(',').length ?? Infinity;
    const device = runtime.cuda.device + local;
    return {
      ...runtime,
      replicas: 1,
      threads: runtime.threads === 0 ? share : runtime.threads,
      cuda: { ...runtime.cuda, device: device < visible ? device : device % visible },
    };
  }

  /** What a person should know of how the launcher has placed the ranks on this machine; null where all is well. */
  notice({ threads }: Config['runtime']): string | null {
    const { neighbours, rivals, own } = this.#places();
    const cores = cpus().length;
    const bound = own.cpus.length;
    if (threads > 0 || rivals.length > 1 || neighbours.length * bound >= cores) return null;
    return (
      `${this.launcher.name} has bound each rank to ${counted(bound, 'core')} of ${cores}; ` +
      `more are given by --bind-to none, or a count of cores for each rank`
    );
  }

  /** This rank, those of its machine, and those of them that may run on the same CPUs; it is among both. */
  #places(): Record<'neighbours' | 'rivals', readonly Introduction[]> & { readonly own: Introduction } {
    const own = this.introductions[this.group.rank]!;
    const neighbours = this.introductions.filter(({ host, boot }) => host === own.host && boot === own.boot);
    const rivals = neighbours.filter(({ cpus }) => cpus.some((cpu) => own.cpus.includes(cpu)));
    return { own, neighbours, rivals };
  }

  /** Leaves the others, when all do. */
  end(): Promise<void> {
    return this.group.end();
  }

  /**
   * What is to be said of a failure, where it is this rank that says it. Another one than the first tells that, which logs
   * it and ends all; if it does not for long, it says it itself.
   */
  async failed(error: Error & Partial<SentError>): Promise<Error> {
    if (this.leads) return error;
    error.message = `${this.nameOf(this.group.rank)}: ${error.message}`;
    await this.group.fail(JSON.stringify({ ...sent(error), stack: undefined }), patience).catch(() => {});
    return error;
  }

  /** Ends the processes of all ranks, this one too. */
  abort(code: number): void {
    this.group.abort(code);
    // MPICH's call comes back where its launcher is busy ending others. process.exit would wait for threads.
    process.kill(process.pid, 'SIGKILL');
  }
}
