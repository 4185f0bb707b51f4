import { checkpointFolder, listCheckpoints } from './checkpoint.js';
import { readBestMark, type BestMark } from './checkpointIndex.js';
import { CheckpointPolicy } from './checkpointPolicy.js';
import { CheckpointWriter } from './checkpointWriter.js';
import type { TrainingEvent } from './events.js';
import type { Measurements } from './measurements.js';
import type { TrainingPlan } from './plan.js';
import type { PreparedRun } from './trainingLoop.js';

function isSame(a: BestMark | null, b: BestMark | null): boolean {
  return a?.step === b?.step && a?.criterion === b?.criterion && a?.accuracy === b?.accuracy;
}

/** The checkpoints of a training: when they are written, and which are kept. They are written beside it. */
export class Checkpoints {
  readonly #policy: CheckpointPolicy;
  readonly #writer: CheckpointWriter;
  /** Steps done in the newest one, written or being written. */
  #saved: number;
  /** Steps after which it was measured, and of which there is no checkpoint any more. */
  #gone: ReadonlySet<number> = new Set();

  private constructor(
    private readonly run: PreparedRun,
    private readonly plan: TrainingPlan,
    private readonly emit: (event: TrainingEvent) => void,
    saved: number,
    /** The best one, as the index says or is about to say. */
    private best: BestMark | null,
  ) {
    const { config, runFolder } = run;
    this.#policy = new CheckpointPolicy(config.checkpoint, plan);
    this.#writer = new CheckpointWriter({ runFolder, keep: config.checkpoint.keep });
    this.#saved = saved;
  }

  /** `emit` is told of each when it is durable. */
  static async open(
    run: PreparedRun,
    plan: TrainingPlan,
    emit: (event: TrainingEvent) => void,
  ): Promise<Checkpoints> {
    const { step } = run.state;
    // One to go on from may lie elsewhere.
    const isHere = (await listCheckpoints(run.runFolder)).some((entry) => entry.step === step);
    const best = await readBestMark(checkpointFolder(run.runFolder));
    return new Checkpoints(run, plan, emit, isHere || step === 0 ? step : -1, best);
  }

  /** After a step: begins what is due, or what was asked for. Throws what has gone wrong with one before. */
  async afterStep(isAsked: boolean): Promise<void> {
    this.#writer.check();
    if (this.#policy.isDue(this.run.state.step, this.#writer.isBusy) || isAsked) await this.save();
  }

  /** Tells measurements what the log of a run that goes on holds, or, without one, what the best checkpoint says. */
  async resume(measurements: Measurements): Promise<void> {
    const { runFolder, state } = this.run;
    await measurements.read(runFolder, state.step, this.best);
    const kept = new Set((await listCheckpoints(runFolder)).map(({ step }) => step));
    this.#gone = new Set(measurements.steps.filter((step) => step < state.step && !kept.has(step)));
    await this.measured(measurements);
  }

  /**
   * After a measurement: keeps the best checkpoint of those that there are, which is written if it was not due. The one
   * before stays the best while nothing is measured that could be compared with it.
   */
  async measured(measurements: Measurements): Promise<void> {
    const { config, state } = this.run;
    const before = this.best && this.best.step <= state.step ? this.best : null;
    const found = measurements.bestOf((step) => !this.#gone.has(step)) ?? before;
    const best = config.checkpoint.keepBest ? found : null;
    if (isSame(best, this.best)) return;
    if (best?.step === state.step) await this.save();
    this.#writer.markBest(best);
    this.best = best;
  }

  /** Begins a checkpoint of the state as it is, unless the newest one is of this very step. */
  async save(): Promise<void> {
    const { config, source, state } = this.run;
    const { step } = state;
    if (step === this.#saved) return;
    const epoch = this.plan.epochsAfter(step);
    const info = { config, epoch, step, fingerprint: source.fingerprint };
    await this.#writer.write(state, info, ({ path }) =>
      this.emit({ type: 'checkpoint', epoch, step, file: path }),
    );
    this.#saved = step;
    this.#policy.saved();
  }

  /** Waits until all that was begun is durable; throws what has gone wrong. */
  settled(): Promise<void> {
    return this.#writer.settled();
  }

  /** Waits for what is being written. */
  close(): Promise<void> {
    return this.#writer.close();
  }
}
