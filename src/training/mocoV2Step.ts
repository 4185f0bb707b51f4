import { viewSize, type Config } from '../config/schema.js';
import { SlimclrError } from '../errors.js';
import { keyPrefix } from '../programs/key.js';
import type { Manifest } from '../programs/manifest.js';
import { lossWeights } from '../losses/reweighting.js';
import {
  float64Scalar,
  floatTensor,
  scalarTensor,
  Session,
  type Tensor,
  type Tensors,
} from '../runtime/session.js';
import type { WidthLoss } from './events.js';
import { GradientSum } from './gradientSum.js';
import type { TrainingState } from './state.js';
import { inPieces } from './pieces.js';

export interface StepInput {
  /** `[N, 3, S, S]`: view 1 for the query network, view 2 for the key network. */
  readonly views: readonly [Float32Array, Float32Array];
  readonly learningRate: number;
  /** False during the slow start: only the full width trains, with loss weight 1. */
  readonly allWidths: boolean;
}

/** Losses that are not finite: training cannot go on. */
export class DivergenceError extends SlimclrError {
  override name = 'DivergenceError';
}

/** One training step of SlimCLR-MoCo v2, as docs/method.md lists it. Changes the state in place. */
export class MocoV2Step {
  readonly #images: readonly [Tensor, Tensor];
  readonly #keys: Tensor;
  readonly #teacherLogits: Tensor;
  readonly #lambdas: readonly number[];

  private constructor(
    private readonly config: Config,
    private readonly manifest: Manifest,
    private readonly state: TrainingState,
    /** By the name of the graph, in the order of the manifest. */
    readonly sessions: ReadonlyMap<string, Session>,
    private readonly gradients: GradientSum,
  ) {
    const { batchSize, method } = config;
    const imageShape = [batchSize, 3, viewSize(config), viewSize(config)];
    const zeros = (...shape: number[]) => floatTensor(new Float32Array(shape.reduce((a, b) => a * b)), shape);
    this.#images = [zeros(...imageShape), zeros(...imageShape)];
    this.#keys = zeros(batchSize, method.dimension);
    this.#teacherLogits = zeros(batchSize, 1 + method.queueSize);
    this.#lambdas = lossWeights(method.reweighting, config.widths);
  }

  static async open(
    folder: string,
    manifest: Manifest,
    config: Config,
    state: TrainingState,
    traceFolder?: string,
  ): Promise<MocoV2Step> {
    const names = manifest.graphs
      .filter(({ kind }) => ['momentum', 'key', 'query', 'combine', 'update'].includes(kind))
      .map(({ name }) => name);
    const sessions = new Map<string, Session>();
    const options = { ...config.runtime, traceFolder };
    for (const name of names) sessions.set(name, await Session.open(folder, manifest, name, options));
    return new MocoV2Step(config, manifest, state, sessions, new GradientSum(manifest, state.parameters));
  }

  /** Seconds spent inside ONNX Runtime since the start. */
  get computeSeconds(): number {
    let seconds = 0;
    for (const session of this.sessions.values()) seconds += session.seconds;
    return seconds;
  }

  /**
   * Runs one step and returns the losses by width label. Throws a DivergenceError when a loss is not finite,
   * before the parameters change.
   */
  async run({ views, learningRate, allWidths }: StepInput): Promise<Record<string, WidthLoss>> {
    const { widths } = this.config;
    for (const [i, view] of views.entries()) (this.#images[i]!.data as Float32Array).set(view);
    await this.#moveKeys();
    await this.#embedKeys();
    const losses: Record<string, WidthLoss> = {};
    for (const index of allWidths ? widths.keys() : [0]) {
      const label = this.manifest.labels[index]!;
      losses[label] = await this.#query(index, allWidths);
      if (!Number.isFinite(losses[label].loss)) {
        throw new DivergenceError(
          `loss of width ${label} is ${losses[label].loss} at step ${this.state.step}; ` +
            'a finite loss is needed: lower schedule.peak or lengthen schedule.warmup',
        );
      }
    }
    if (allWidths && widths.length > 1) await this.gradients.combine(this.#session('combine'));
    await this.#update(learningRate, allWidths);
    this.#enqueue();
    this.state.step += 1;
    return losses;
  }

  async close(): Promise<void> {
    for (const session of this.sessions.values()) await session.close();
  }

  /** key = m key + (1 - m) query, parameters only. */
  async #moveKeys(): Promise<void> {
    const { parameters, keys, ranges } = this.state;
    const momentum = float64Scalar(this.config.method.keyMomentum);
    for (const range of ranges.filter(({ fullWidth }) => fullWidth)) {
      for (const [query, key] of inPieces(range, parameters.data, keys.data)) {
        await this.#session('momentum').runInto({ query: query!, key: key!, momentum }, { new_key: key! });
      }
    }
  }

  /** Features of view 2 by the key network; its batch norm statistics move on. */
  async #embedKeys(): Promise<void> {
    const session = this.#session('key');
    const feeds: Record<string, Tensor> = { images: this.#images[1] };
    for (const { name, kind } of session.entry.inputs) {
      if (kind === 'parameter') feeds[name] = this.state.keys.tensor(name.slice(keyPrefix.length));
      else if (kind === 'statistic') feeds[name] = this.state.statistics.tensor(name);
    }
    await session.runInto(feeds, { keys: this.#keys, ...this.#newStatistics(session) });
  }

  /** Forward and backward of one width; gradients and batch norm statistics are written in place. */
  async #query(index: number, allWidths: boolean): Promise<WidthLoss> {
    const label = this.manifest.labels[index]!;
    const session = this.#session(`query.${label}`);
    const feeds: Record<string, Tensor> = {
      images: this.#images[0],
      keys: this.#keys,
      queue: this.state.queue.tensor('queue'),
      loss_weight: scalarTensor(allWidths ? this.#lambdas[index]! : 1),
    };
    for (const { name, kind } of session.entry.inputs) {
      if (kind === 'parameter') feeds[name] = this.state.parameters.tensor(name);
      else if (kind === 'statistic') feeds[name] = this.state.statistics.tensor(name);
      else if (name === 'teacher_logits') feeds[name] = this.#teacherLogits;
    }
    const loss = scalarTensor(0);
    const infoNce = scalarTensor(0);
    const distillation = scalarTensor(0);
    const distilled = session.entry.outputs.some(({ name }) => name === 'distillation');
    await session.runInto(feeds, {
      loss,
      info_nce: infoNce,
      ...(distilled && { distillation }),
      ...(index === 0 && { logits: this.#teacherLogits }),
      ...this.gradients.fetches(session.entry, allWidths),
      ...this.#newStatistics(session),
    });
    const value = (tensor: Tensor) => (tensor.data as Float32Array)[0]!;
    return {
      loss: value(loss),
      infoNce: value(infoNce),
      ...(distilled && { distillation: value(distillation) }),
    };
  }

  /** The optimiser over the ranges that got gradients; the others rest, as parameters without a gradient do. */
  async #update(learningRate: number, allWidths: boolean): Promise<void> {
    const { parameters, velocity, ranges } = this.state;
    const rate = scalarTensor(learningRate);
    for (const range of ranges.filter(({ fullWidth }) => allWidths || fullWidth)) {
      const decay = scalarTensor(range.decay ? this.config.optimizer.weightDecay : 0);
      const arenas = [parameters.data, velocity.data, this.gradients.arena.data];
      for (const [parameter, speed, gradient] of inPieces(range, ...arenas)) {
        await this.#session('update').runInto(
          {
            parameter: parameter!,
            velocity: speed!,
            gradient: gradient!,
            learning_rate: rate,
            weight_decay: decay,
          },
          { new_parameter: parameter!, new_velocity: speed! },
        );
      }
    }
  }

  /** The keys replace the oldest entries of the queue. */
  #enqueue(): void {
    const { batchSize, method } = this.config;
    const row = (this.state.step * batchSize) % method.queueSize;
    this.state.queue.view('queue').set(this.#keys.data as Float32Array, row * method.dimension);
  }

  #newStatistics(session: Session): Tensors {
    const fetches: Record<string, Tensor> = {};
    for (const { name, of } of session.entry.outputs) {
      if (of !== undefined && this.state.statistics.has(of)) fetches[name] = this.state.statistics.tensor(of);
    }
    return fetches;
  }

  #session(name: string): Session {
    return this.sessions.get(name)!;
  }
}
