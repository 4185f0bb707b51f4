import { Worker } from 'node:worker_threads';
import type { Config } from '../../config/schema.js';
import { SlimclrError } from '../../errors.js';
import type { Manifest } from '../../programs/manifest.js';
import { groupSetup, ThreadGroup } from '../../distributed/replicaGroup.js';
import { revived, type SentError } from '../sentError.js';
import type { TrainingState } from '../state.js';
import { MethodStep } from './methodStep.js';
import type { ReplicaRequest, ReplicaSetup } from './replicaWorker.js';
import type { Step, StepInput, StepResult } from './step.js';

/**
 * A step whose micro-batches are shared out: this thread runs the first ones on the state that is saved, a thread for
 * each other replica runs its own. Where threads share an engine's memory there is one state, and each replica adds up
 * and updates a part of it; otherwise each has a state of its own, and they make the same update each.
 */
export class ReplicatedStep implements Step {
  private constructor(
    private readonly own: MethodStep,
    private readonly group: ThreadGroup,
    private readonly others: readonly Replica[],
  ) {}

  static async open(
    folder: string,
    manifest: Manifest,
    config: Config,
    state: TrainingState,
    traceFolder?: string,
  ): Promise<ReplicatedStep> {
    const setup = groupSetup(config.runtime.replicas);
    const group = new ThreadGroup(setup, 0);
    const { step } = state;
    const lossScale = state.lossScale?.tensor();
    const shared = state.share();
    const own = shared ? [state.statistics] : state.arenas;
    const arenas = await Promise.all(own.map((arena) => arena.readAll()));
    const others = Array.from({ length: setup.size - 1 }, (_, i) => {
      const data: ReplicaSetup = {
        ...{ folder, manifest, config, shared, arenas, lossScale, step },
        group: setup,
        rank: i + 1,
      };
      return new Replica(data, (error) => group.fail(error));
    });
    let opening: Promise<MethodStep> | undefined;
    try {
      // Whoever opens its step may call the others.
      await Promise.all(others.map((replica) => replica.answer()));
      opening = MethodStep.open(folder, manifest, config, state, {
        group,
        shares: shared !== null,
        traceFolder,
      });
      const [own] = await Promise.all([opening, ...others.map((replica) => replica.open())]);
      return new ReplicatedStep(own, group, others);
    } catch (error) {
      await closeAll(group, others);
      await opening?.then((own) => own.close()).catch(() => {});
      throw error;
    }
  }

  get graphs(): Step['graphs'] {
    return this.own.graphs;
  }

  /** Of the replica in this thread. */
  get computeSeconds(): number {
    return this.own.computeSeconds;
  }

  /** Throws the error of whichever replica fails first; no step can follow. */
  async run(input: StepInput): Promise<StepResult> {
    const share = input.batches.length / this.group.size;
    const part = (rank: number) => ({
      ...input,
      batches: input.batches.slice(rank * share, (rank + 1) * share),
    });
    const [result] = await Promise.all([
      this.own.run(part(0)),
      ...this.others.map((replica, i) => replica.run(part(i + 1))),
    ]);
    return result;
  }

  async close(): Promise<void> {
    await closeAll(this.group, this.others);
    await this.own.close();
  }
}

/** A thread in the middle of a step fails where it would wait for the others: ONNX Runtime's runs must not be torn off. */
async function closeAll(group: ThreadGroup, others: readonly Replica[]): Promise<void> {
  group.fail(new SlimclrError('the training was closed'));
  await Promise.all(others.map((replica) => replica.close()));
  group.close();
}

/** A replica in a thread of its own, which answers when it is there, when it has opened and after each step. */
class Replica {
  readonly #worker: Worker;
  readonly #exit: Promise<void>;
  #settle: { resolve: () => void; reject: (error: Error) => void } | null = null;
  #failure: Error | null = null;

  constructor(setup: ReplicaSetup, onFailure: (error: Error) => void) {
    const fail = (error: Error) => {
      this.#failure ??= error;
      this.#settle?.reject(this.#failure);
      onFailure(this.#failure);
    };
    this.#worker = new Worker(new URL('./replicaWorker.js', import.meta.url), { workerData: setup });
    this.#worker.on('message', () => this.#settle?.resolve());
    this.#worker.on('error', (error) => fail(revived(error as SentError)));
    this.#exit = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        fail(new SlimclrError(`replica ${setup.rank} stopped with exit code ${code}`));
        resolve();
      });
    });
  }

  answer(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
  }

  open(): Promise<void> {
    return this.#ask('open');
  }

  run(input: StepInput): Promise<void> {
    return this.#ask(input);
  }

  #ask(request: ReplicaRequest): Promise<void> {
    this.#worker.postMessage(request);
    return this.answer();
  }

  async close(): Promise<void> {
    this.#worker.postMessage('close' satisfies ReplicaRequest);
    await this.#exit;
  }
}
