import type { Config } from '../../config/schema.js';
import type { Arena } from '../../engines/arena.js';
import type { Binding, Place } from '../../engines/engine.js';
import { needsOf } from '../../methods/index.js';
import type { Held, HeldTensors, Pass, StepContext } from '../../methods/step.js';
import { once } from '../../once.js';
import type { GraphKind, Manifest } from '../../programs/manifest.js';
import { names } from '../../programs/names.js';
import { alone, type ReplicaGroup } from '../../distributed/replicaGroup.js';
import { GradientSum } from '../gradientSum.js';
import { MovedStatistics } from '../movedStatistics.js';
import { OptimizerStep } from '../optimizerStep.js';
import type { TrainingState } from '../state.js';
import { SharedTotals } from './sharedTotals.js';
import { FrozenModel } from './frozenModel.js';
import { KeyMoves } from './keyMoves.js';
import { replaceOldest } from './keyQueue.js';
import { placeId, PreparedRuns } from './preparedRuns.js';
import { QueryRuns } from './queryRuns.js';
import { StepLosses } from './stepLosses.js';
import { DivergenceError, type StepInput, type StepResult } from './step.js';
import { StepGraphs, type RunWatcher, type StepRun } from './stepGraphs.js';
import { StepTensors } from './stepTensors.js';
import { TeacherEntropy } from './teacherEntropy.js';

/** Graphs that a step runs; the others are for evaluation. */
const stepKinds: readonly GraphKind[] = [
  'momentum',
  'key',
  'features',
  'normalize',
  'query',
  'combine',
  'accumulate',
  'norm',
  'update',
];

/** Graphs that treat every element of their tensors for itself. */
const elementwise: readonly string[] = ['momentum', 'accumulate', 'update'];
/** How many pieces of the arenas they take in a run, whose start and end cost 0.1 ms. */
const piecesOfRun = 8;

export interface StepOptions {
  /** The replicas that this one is one of. */
  readonly group?: ReplicaGroup;
  /** Whether all of them have the same memory: parameters, optimiser, keys and queue. */
  readonly shares?: boolean;
  /** Folder that the graphs write traces of their runs to. */
  readonly traceFolder?: string | undefined;
  readonly onRun?: RunWatcher | undefined;
}

/** Told of the widths that trained in a pass while each width's gradient stands for itself. */
export type PassWatcher = (labels: readonly string[], positives: Pass['positives']) => Promise<void>;

/**
 * What the steps of all methods are made of, on an engine: parameters and statistics of the state bound to graphs, passes
 * of all widths with their gradients, the optimiser. Everything is bound once, when it is first run.
 */
export class StepRunner extends StepTensors implements StepContext {
  readonly losses: StepLosses;
  labels: readonly string[] = [];
  step = 0;
  steps = 0;
  /** While a step is diagnosed. */
  onPass: PassWatcher | null = null;
  /** The gradients of a step when its passes have ended, of all replicas. */
  readonly total: Arena;
  readonly #optimizer: OptimizerStep;
  readonly #queries: QueryRuns;
  readonly #statistics: MovedStatistics;
  readonly #runs: PreparedRuns;
  readonly #models = new Map<string, Binding>();
  readonly #keyMoves: KeyMoves;
  #enqueued: readonly Held[] = [];

  private constructor(
    config: Config,
    readonly manifest: Manifest,
    readonly state: TrainingState,
    readonly graphs: StepGraphs,
    private readonly models: ReadonlyMap<string, FrozenModel>,
    teacherEntropy: TeacherEntropy | null,
    readonly gradients: GradientSum,
    readonly group: ReplicaGroup,
    /** Of replicas that share memory; null where each has its own, or is alone. */
    private readonly totals: SharedTotals | null,
  ) {
    super(state.engine, config);
    this.#statistics = new MovedStatistics(state.statistics, group);
    this.total = totals?.sum ?? gradients.total;
    this.#optimizer = new OptimizerStep(graphs, config.optimizer, manifest.parameters, state, this.total, {
      readsNorm: state.lossScale !== null,
      own: (runs) => this.#own(runs),
    });
    this.#runs = new PreparedRuns(graphs, state);
    this.#keyMoves = new KeyMoves(graphs, manifest, state);
    this.#queries = new QueryRuns(config, manifest, state, graphs, this.#runs, gradients, this);
    this.losses = new StepLosses(this, teacherEntropy);
  }

  /** Loads the graphs of a step, and the models that its method brings. */
  static async open(
    folder: string,
    manifest: Manifest,
    config: Config,
    state: TrainingState,
    { group = alone, shares = false, traceFolder, onRun }: StepOptions = {},
  ): Promise<StepRunner> {
    const { engine } = state;
    const wanted = manifest.graphs.filter(({ kind }) => stepKinds.includes(kind)).map(({ name }) => name);
    const repetitions = new Map(elementwise.map((name) => [name, engine.placesAnywhere ? piecesOfRun : 1]));
    const graphs = await StepGraphs.open(engine, folder, manifest, wanted, {
      repetitions,
      traceFolder,
      onRun,
    });
    const models = new Map<string, FrozenModel>();
    try {
      const teacherEntropy = await TeacherEntropy.open(graphs, manifest, config);
      for (const need of needsOf(config).models) {
        models.set(need.key, await FrozenModel.open(engine, folder, need, config.batchSize));
      }
      const gradients = new GradientSum(manifest, state.parameters, graphs);
      const totals = shares ? await SharedTotals.open(group, gradients.total, config.runtime.wire) : null;
      return new StepRunner(
        config,
        manifest,
        state,
        graphs,
        models,
        teacherEntropy,
        gradients,
        group,
        totals,
      );
    } catch (error) {
      for (const model of models.values()) await model.close();
      await graphs.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const model of this.models.values()) await model.close();
    await this.graphs.close();
  }

  get share(): number {
    return 1 / this.config.accumulation;
  }

  get queue(): Place {
    return this.state.queue!.place('queue');
  }

  position(microBatch: number): number {
    return (this.group.rank * this.config.accumulation) / this.group.size + microBatch;
  }

  async gather<T>(own: readonly T[]): Promise<readonly T[]> {
    return this.group.size === 1 ? own : (await this.group.gather(own)).flat();
  }

  async moveKeys(momentum: number): Promise<void> {
    await this.#keyMoves.setMomentum(momentum);
    await this.graphs.run(this.#own(this.#keyMoves.runs));
    await this.#meet();
  }

  async embedKeys(images: Held, keys: Held): Promise<void> {
    const entry = this.graphs.entry('key');
    this.#statistics.move(entry);
    await this.graphs.run([
      this.#runs.get('key', { [names.images]: images }, { [names.keys]: keys }, () => ({
        outputs: this.#runs.newStatistics(entry),
      })),
    ]);
  }

  async run(program: string, inputs: HeldTensors, outputs: HeldTensors): Promise<void> {
    await this.graphs.run([this.#runs.get(program, inputs, outputs)]);
  }

  async embed(model: string, images: Held, embedding: Held): Promise<void> {
    const places = [images as Place, embedding as Place] as const;
    const binding = once(this.#models, [model, ...places.map((place) => placeId(place))].join(), () =>
      this.models.get(model)!.bind(...places),
    );
    await this.graphs.timed(() => this.engine.run(binding));
  }

  get outputs(): QueryRuns['outputs'] {
    return this.#queries.outputs;
  }

  embedding(label: string): Place {
    return this.outputs.get(label)!.embedding!;
  }

  enqueue(keys: readonly Held[]): void {
    this.#enqueued = keys;
  }

  /** Begins a step: its losses and gradients are those of the passes that follow. */
  async begin({ allWidths, steps }: StepInput): Promise<void> {
    const { labels } = this.manifest;
    this.labels = allWidths ? labels : labels.slice(0, 1);
    this.step = steps.all;
    this.steps = steps.total;
    this.#enqueued = [];
    this.losses.begin();
    this.gradients.begin();
    await this.#statistics.begin();
  }

  /** Ends the passes of a step: its losses, gradients and running statistics are those of all replicas from here on. */
  async end(): Promise<void> {
    const { group, total, totals } = this;
    if (group.size === 1) return;
    if (totals) await totals.add();
    else {
      const sum = await total.readAll();
      await group.sum(sum, this.config.runtime.wire);
      await total.writeAll(sum);
    }
    await this.losses.join(group);
    await this.#statistics.join();
  }

  /**
   * Forward and backward of all active widths on one batch, wide first; adds their losses and gradients to the step's.
   * Throws a DivergenceError.
   */
  async pass({ inputs, gradientWeight = this.share, positives }: Pass): Promise<void> {
    const { labels, gradients } = this;
    const allWidths = labels.length === this.manifest.labels.length;
    const queries: StepRun[] = [];
    for (const [index, label] of labels.entries()) {
      queries.push(this.#queries.run(index, allWidths, await inputs(label), this.losses.places(label)));
      this.#statistics.move(this.#queries.entry(label));
    }
    if (allWidths) queries.push(...this.losses.entropies);
    await this.#queries.weight(labels, allWidths, gradientWeight);
    if (this.onPass) {
      await this.graphs.run(queries);
      await this.losses.add(labels, this.share);
      await this.onPass(labels, positives);
      await this.graphs.run(gradients.end(allWidths));
    } else {
      await this.graphs.run([...queries, ...gradients.end(allWidths)]);
      await this.losses.add(labels, this.share);
    }
  }

  /**
   * The optimiser over what got gradients, and the queue; counts the step. In float16 a step that overflowed is skipped,
   * and lowers the scale of the loss: throws a DivergenceError where that is 1 already.
   */
  async update({
    learningRate,
    allWidths,
    steps,
    update = true,
  }: StepInput): Promise<Pick<StepResult, 'lossScale' | 'overflow'>> {
    const { lossScale } = this.state;
    const used = lossScale?.value;
    const sumOfSquares = lossScale ? await this.#optimizer.sumOfSquares(allWidths) : undefined;
    const overflow = !Number.isFinite(sumOfSquares ?? 0) || this.losses.firstNotFinite !== null;
    if (overflow) this.#overflowed(allWidths);
    if (update) {
      if (this.#enqueued.length > 0 && !this.losses.firstNotFinite) {
        const keys = this.#enqueued as readonly Place<'float32'>[];
        await replaceOldest(this.state, keys, this.group, this.totals !== null);
      }
      if (!overflow) {
        const { all, narrow } = lossScale?.skipped ?? { all: 0, narrow: 0 };
        const counts = { all: steps.all + 1 - all, narrow: steps.narrow + 1 - narrow };
        await this.#optimizer.run({ learningRate, allWidths, steps: counts }, sumOfSquares);
        lossScale?.stepped();
      }
      this.state.step += 1;
    }
    await this.#meet();
    return { ...(used !== undefined && { lossScale: used }), ...(overflow && { overflow }) };
  }

  #overflowed(allWidths: boolean): void {
    const { lossScale, step } = this.state;
    if (!lossScale!.canFall) {
      const broken = this.losses.firstNotFinite;
      const what = broken ? `loss of width ${broken.label} is ${broken.loss}` : 'gradients are not finite';
      throw new DivergenceError(
        `${what} at step ${step}, in float16 at loss scale 1; lower schedule.peak or lengthen schedule.warmup`,
      );
    }
    lossScale!.overflowed(allWidths);
  }

  /** What of runs over the state is this replica's to do. */
  #own<T>(runs: readonly T[]): readonly T[] {
    const { size, rank } = this.group;
    return this.totals ? runs.filter((_, i) => i % size === rank) : runs;
  }

  /** Waits for the others that share the state: what each has written is there for all. */
  async #meet(): Promise<void> {
    if (this.totals) await this.group.gather(null);
  }
}
