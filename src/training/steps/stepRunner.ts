import { viewSize, type Config } from '../../config/schema.js';
import { lossWeights } from '../../losses/reweighting.js';
import { once } from '../../once.js';
import { keyPrefix } from '../../programs/key.js';
import { widthLabel } from '../../nn/widthLabel.js';
import type { GraphKind, Manifest } from '../../programs/manifest.js';
import { distilledPrediction, teachersOf } from '../../programs/query.js';
import { alone, type ReplicaGroup } from '../../runtime/replicaGroup.js';
import {
  float64Scalar,
  floatTensor,
  replicaRuntime,
  scalarTensor,
  Session,
  type Tensor,
  type Tensors,
} from '../../runtime/session.js';
import { Staging } from '../../runtime/staging.js';
import type { WidthLoss } from '../events.js';
import { GradientSum } from '../gradientSum.js';
import { OptimizerStep } from '../optimizerStep.js';
import { MovedStatistics } from '../movedStatistics.js';
import { PieceRuns } from '../pieces.js';
import type { TrainingState } from '../state.js';
import { DivergenceError, type MicroBatch, type StepInput } from './step.js';
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

/** A run of a query graph: what is the same in every step, and where it gives its losses. */
interface PreparedQuery {
  /** Without the inputs that a method's objective has. */
  readonly feeds: Record<string, Tensor>;
  readonly lossWeight: Float32Array;
  readonly outputs: Tensors;
  readonly loss: Tensor;
  readonly terms: Tensors;
}

interface SummedLoss {
  loss: number;
  readonly terms: Record<string, number>;
  teacherEntropy?: number;
}

export interface StepOptions {
  /** The replicas that this one is one of. */
  readonly group?: ReplicaGroup;
  /** Folder that the sessions write traces of their runs to. */
  readonly traceFolder?: string | undefined;
}

/** What the loss of one forward and backward pass stands for in a step. */
export interface PassWeights {
  /** Factor of its gradients. */
  readonly gradient: number;
  /** Factor of its losses in those that the step reports. */
  readonly loss: number;
}

/** What a width predicted in a pass, `[R, C]` and `[R, D]`, by its label. */
export interface WidthOutputs {
  readonly logits: Tensor;
  readonly embedding?: Tensor;
}

/**
 * What the steps of all methods are made of: sessions, the feeding of parameters and statistics from the state, passes
 * of all widths with their gradients, the optimiser. A method's step says in which order.
 */
export class StepRunner {
  readonly sessions: ReadonlyMap<string, Session>;
  readonly config: Config;
  readonly manifest: Manifest;
  readonly state: TrainingState;
  readonly group: ReplicaGroup;
  readonly gradients: GradientSum;
  /** By width label: where the query graphs write what the method, other widths and the diagnostics read. */
  readonly outputs: ReadonlyMap<string, WidthOutputs>;
  readonly #staging = new Staging();
  readonly #optimizer: OptimizerStep;
  readonly #teacherEntropy: TeacherEntropy;
  readonly #lambdas: readonly number[];
  /** Of each session, what is the same in every step: tensors over the arenas of the state. */
  readonly #feeds = new Map<Session, Tensors>();
  /** Where the key network's statistics go. */
  #keyStatistics: Tensors | null = null;
  /** By width and whether all train. */
  readonly #queries = new Map<string, PreparedQuery>();
  readonly #statistics: MovedStatistics;
  /** The momentum update of what the full width uses. */
  readonly #keyMoves: readonly PieceRuns[];
  #losses = new Map<string, SummedLoss>();

  private constructor(
    config: Config,
    manifest: Manifest,
    state: TrainingState,
    sessions: ReadonlyMap<string, Session>,
    group: ReplicaGroup,
  ) {
    this.config = config;
    this.manifest = manifest;
    this.state = state;
    this.sessions = sessions;
    this.group = group;
    this.#statistics = new MovedStatistics(state.statistics, group);
    this.gradients = new GradientSum(manifest, state.parameters);
    this.#optimizer = new OptimizerStep(
      sessions,
      config.optimizer,
      manifest.parameters,
      state,
      this.gradients.total,
    );
    const momentum = sessions.get('momentum');
    const { parameters, keys } = state;
    this.#keyMoves = state.ranges
      .filter(({ fullWidth }) => momentum && fullWidth)
      .map(
        (range) =>
          new PieceRuns(
            momentum!,
            range,
            { query: parameters.data, key: keys!.data },
            { new_key: keys!.data },
          ),
      );
    this.#teacherEntropy = new TeacherEntropy(config);
    this.#lambdas = lossWeights(config.techniques.reweighting, config.widths);
    this.outputs = new Map(
      manifest.labels.map((label) => {
        const { outputs } = this.#session(`query.${label}`).entry;
        const zeros = (name: string) => {
          const shape = outputs.find((output) => output.name === name)?.shape as
            readonly number[] | undefined;
          return shape && zeroTensor(shape);
        };
        const embedding = zeros('embedding');
        return [label, { logits: zeros('logits')!, ...(embedding && { embedding }) }];
      }),
    );
  }

  /** Opens the graphs of a step. Errors are those of `Session.open`. */
  static async open(
    folder: string,
    manifest: Manifest,
    config: Config,
    state: TrainingState,
    { group = alone, traceFolder }: StepOptions = {},
  ): Promise<StepRunner> {
    const names = manifest.graphs.filter(({ kind }) => stepKinds.includes(kind)).map(({ name }) => name);
    const sessions = new Map<string, Session>();
    const options = { ...replicaRuntime(config.runtime, group.rank), traceFolder };
    for (const name of names) {
      const repetitions = elementwise.includes(name) ? piecesOfRun : 1;
      sessions.set(name, await Session.open(folder, manifest, name, { ...options, repetitions }));
    }
    return new StepRunner(config, manifest, state, sessions, group);
  }

  get computeSeconds(): number {
    let seconds = 0;
    for (const session of this.sessions.values()) seconds += session.seconds;
    return seconds;
  }

  async close(): Promise<void> {
    for (const session of this.sessions.values()) await session.close();
  }

  /** Micro-batches of a step that this replica runs. */
  get microBatches(): number {
    return this.config.accumulation / this.group.size;
  }

  /** What the loss of one micro-batch is of that of the step. */
  get share(): number {
    return 1 / this.config.accumulation;
  }

  /** The tensors of the step's micro-batches, given those of this replica's. */
  async gather(own: readonly Tensor[]): Promise<readonly Tensor[]> {
    if (this.group.size === 1) return own;
    const all = await this.group.gather(own.map(({ data }) => data as Float32Array));
    return all.flatMap((values) => values.map((data, i) => floatTensor(data, own[i]!.dims)));
  }

  /** Where a micro-batch of this replica stands among the step's. */
  position(microBatch: number): number {
    return this.group.rank * this.microBatches + microBatch;
  }

  /** Shape of one view of a micro-batch. */
  get viewShape(): readonly [number, number, number, number] {
    const size = viewSize(this.config);
    return [this.config.batchSize, 3, size, size];
  }

  /** One view of a micro-batch, 0 or 1, as a tensor that holds it until the same is asked of the next step. */
  view({ views }: MicroBatch, view: 0 | 1, microBatch = 0): Tensor {
    return this.#staging.stage(2 * microBatch + view, views[view], this.viewShape);
  }

  /** key = momentum key + (1 - momentum) query, parameters only. */
  async moveKeys(momentum: number): Promise<void> {
    const scalars = { momentum: float64Scalar(momentum) };
    for (const move of this.#keyMoves) await move.run(scalars);
  }

  /** Writes the key network's embeddings of a view into `keys`; its batch norm statistics move on. */
  async embedKeys(images: Tensor, keys: Tensor): Promise<void> {
    const session = this.#session('key');
    this.#statistics.move(session.entry);
    this.#keyStatistics ??= this.#newStatistics(session);
    await session.runInto({ images, ...this.#weights(session) }, { keys, ...this.#keyStatistics });
  }

  /** Runs a graph of the folder that reads parameters and statistics, or neither, and changes nothing of the state. */
  async run(name: string, feeds: Tensors, outputs: Tensors): Promise<void> {
    const session = this.#session(name);
    await session.runInto({ ...feeds, ...this.#weights(session) }, outputs);
  }

  /** Begins a step: its losses and gradients are those of the passes that follow. */
  begin(): void {
    this.#losses = new Map();
    this.gradients.begin();
    this.#statistics.begin();
  }

  /** Ends the passes of a step: its losses, gradients and running statistics are those of all replicas from here on. */
  async end(): Promise<void> {
    const { group } = this;
    if (group.size === 1) return;
    await group.sum(this.gradients.total.data);
    for (const losses of (await group.gather(this.#losses)).filter((_, rank) => rank !== group.rank)) {
      for (const [label, loss] of losses) this.#addLoss(label, loss, 1);
    }
    await this.#statistics.join();
  }

  /**
   * Forward and backward of all active widths on one batch, wide first; adds their losses and gradients to the step's.
   * `feeds` are the inputs that the method's objective has beside the teachers' predictions. `onGradients` is told of
   * the widths that trained while each width's gradient stands for itself. Throws a DivergenceError.
   */
  async pass(
    allWidths: boolean,
    weights: PassWeights,
    feeds: (label: string) => Tensors,
    onGradients?: (labels: readonly string[]) => void,
  ): Promise<void> {
    const labels = allWidths ? this.manifest.labels : this.manifest.labels.slice(0, 1);
    for (const [index, label] of labels.entries()) {
      await this.#query(index, allWidths, weights, feeds(label));
      const { loss } = this.#losses.get(label)!;
      if (!Number.isFinite(loss)) {
        throw new DivergenceError(
          `loss of width ${label} is ${loss} at step ${this.state.step}; ` +
            'a finite loss is needed: lower schedule.peak or lengthen schedule.warmup',
        );
      }
    }
    onGradients?.(labels);
    await this.gradients.end(allWidths, this.sessions);
  }

  /** The losses of the passes since `begin`. */
  get losses(): Readonly<Record<string, WidthLoss>> {
    return Object.fromEntries(this.#losses);
  }

  /** The optimiser over what got gradients; counts the step. */
  async update({ learningRate, allWidths, steps, update = true }: StepInput): Promise<void> {
    if (!update) return;
    const counts = { all: steps.all + 1, narrow: steps.narrow + 1 };
    await this.#optimizer.run({ learningRate, allWidths, steps: counts });
    this.state.step += 1;
  }

  /** Forward and backward of one width; gradients and batch norm statistics are written in place. */
  async #query(index: number, allWidths: boolean, weights: PassWeights, inputs: Tensors): Promise<void> {
    const label = this.manifest.labels[index]!;
    const session = this.#session(`query.${label}`);
    const query = once(this.#queries, `${label} ${allWidths}`, () => this.#prepared(index, allWidths));
    const lambda = allWidths ? this.#lambdas[index]! : 1;
    query.lossWeight.set([lambda * weights.gradient]);
    this.#statistics.move(session.entry);
    await session.runInto(Object.assign(query.feeds, inputs), query.outputs);
    const terms = Object.entries(query.terms).map(([name, term]) => [name, valueOf(term)] as const);
    if (allWidths) this.#teacherEntropy.record(label, this.outputs.get(label)!);
    const teacherEntropy = allWidths ? this.#teacherEntropy.of(label) : undefined;
    const loss = { loss: valueOf(query.loss), terms: Object.fromEntries(terms) };
    this.#addLoss(label, { ...loss, ...(teacherEntropy !== undefined && { teacherEntropy }) }, weights.loss);
  }

  #prepared(index: number, allWidths: boolean): PreparedQuery {
    const label = this.manifest.labels[index]!;
    const session = this.#session(`query.${label}`);
    const loss = scalarTensor(0);
    const terms = Object.fromEntries(
      session.entry.outputs
        .filter(({ name, of, shape }) => name !== 'loss' && of === undefined && shape.length === 0)
        .map(({ name }) => [name, scalarTensor(0)]),
    );
    const weight = scalarTensor(1);
    return {
      feeds: { ...this.#teacherOutputs(index), ...this.#weights(session), loss_weight: weight },
      lossWeight: weight.data as Float32Array,
      outputs: {
        loss,
        ...terms,
        ...this.outputs.get(label),
        ...this.gradients.fetches(session.entry, allWidths),
        ...this.#newStatistics(session),
      },
      loss,
      terms,
    };
  }

  #addLoss(label: string, { loss, terms, teacherEntropy }: WidthLoss, factor: number): void {
    const sum = once<string, SummedLoss>(this.#losses, label, () => ({ loss: 0, terms: {} }));
    sum.loss += factor * loss;
    for (const [name, term] of Object.entries(terms)) {
      sum.terms[name] = (sum.terms[name] ?? 0) + factor * term;
    }
    if (teacherEntropy !== undefined)
      sum.teacherEntropy = (sum.teacherEntropy ?? 0) + factor * teacherEntropy;
  }

  /** What a width is taught by: predictions of its teachers from the same pass, e.g. of 1 for 0.5, as `teacher.w1.00`. */
  #teacherOutputs(index: number): Tensors {
    const { widths, techniques } = this.config;
    const kind = distilledPrediction(techniques.distillation);
    return Object.fromEntries(
      teachersOf(widths[index]!, this.config)
        .map(widthLabel)
        .map((label) => [`teacher.${label}`, this.outputs.get(label)![kind]!]),
    );
  }

  /** Parameters and statistics that a graph reads. */
  #weights(session: Session): Tensors {
    return once(this.#feeds, session, () => {
      const { keys, parameters, statistics } = this.state;
      const feeds: Record<string, Tensor> = {};
      for (const { name, kind } of session.entry.inputs) {
        if (kind === 'statistic') feeds[name] = statistics.tensor(name);
        else if (kind !== 'parameter') continue;
        else if (name.startsWith(keyPrefix)) feeds[name] = keys!.tensor(name.slice(keyPrefix.length));
        else feeds[name] = parameters.tensor(name);
      }
      return feeds;
    });
  }

  #newStatistics(session: Session): Tensors {
    const { statistics } = this.state;
    const fetches: Record<string, Tensor> = {};
    for (const { name, of } of session.entry.outputs) {
      if (of !== undefined && statistics.has(of)) fetches[name] = statistics.tensor(of);
    }
    return fetches;
  }

  #session(name: string): Session {
    return this.sessions.get(name)!;
  }
}

/** A float32 tensor of zeros. */
export function zeroTensor(shape: readonly number[]): Tensor {
  return floatTensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
}

function valueOf(tensor: Tensor): number {
  return (tensor.data as Float32Array)[0]!;
}
