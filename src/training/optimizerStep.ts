import type { OptimizerConfig } from '../config/optimization.js';
import { clipScale } from '../optimizers/clipping.js';
import { optimizerOf, type Optimizer } from '../optimizers/optimizer.js';
import type { UpdateName } from '../optimizers/updateGraph.js';
import type { ParameterEntry } from '../programs/manifest.js';
import type { Arena } from '../runtime/arena.js';
import { scalarTensor, type Session, type Tensor } from '../runtime/session.js';
import { inPieces, PieceRuns, type Arenas } from './pieces.js';
import type { ParameterRange, TrainingState } from './state.js';

export interface UpdateInput {
  readonly learningRate: number;
  /** False while only the full width trains: what it does not use rests, as parameters without a gradient do. */
  readonly allWidths: boolean;
  /** Updates, this one included, of what the full width uses and of what the sub-networks alone use. */
  readonly steps: { readonly all: number; readonly narrow: number };
}

/** A part of the arenas that one graph updates: in pieces, or for `update.tensor` the one tensor that it is. */
interface UpdateSpan extends ParameterRange {
  readonly graph: UpdateName;
}

/** One step of the optimiser over the arenas, in place. */
export class OptimizerStep {
  readonly #optimizer: Optimizer;
  readonly #spans: readonly (UpdateSpan & { readonly runs: PieceRuns })[];

  /** `sessions` by the name of the graph; `parameters` are the manifest's; `gradients` is laid out like the parameters. */
  constructor(
    private readonly sessions: ReadonlyMap<string, Session>,
    private readonly config: OptimizerConfig,
    parameters: readonly ParameterEntry[],
    private readonly state: Pick<TrainingState, 'parameters' | 'slots' | 'ranges'>,
    private readonly gradients: Arena,
  ) {
    this.#optimizer = optimizerOf(config);
    const slots = new Map(this.#optimizer.slots.map((slot) => [slot, state.slots.get(slot)!.data]));
    const written = { parameter: state.parameters.data, ...Object.fromEntries(slots) };
    const inputs = { ...written, gradient: gradients.data };
    const outputs = Object.fromEntries(
      Object.entries(written).map(([name, arena]) => [`new_${name}`, arena]),
    );
    this.#spans = state.ranges
      .flatMap((range) => spans(range, parameters, state.parameters, this.#optimizer))
      .map((span) => ({ ...span, runs: this.#runs(span, inputs, outputs) }));
  }

  async run({ learningRate, allWidths, steps }: UpdateInput): Promise<void> {
    const active = ({ fullWidth }: ParameterRange) => allWidths || fullWidth;
    const { clipNorm, weightDecay } = this.config;
    const shared: Record<string, Tensor> = { learning_rate: scalarTensor(learningRate) };
    if (clipNorm > 0) {
      const sumOfSquares = await this.#sumOfSquares(this.state.ranges.filter(active));
      shared['gradient_scale'] = scalarTensor(clipScale(sumOfSquares, clipNorm));
    }
    for (const span of this.#spans.filter(active)) {
      const scalars = this.#optimizer.scalars(span.fullWidth ? steps.all : steps.narrow);
      await span.runs.run({
        ...shared,
        weight_decay: scalarTensor(span.decay ? weightDecay : 0),
        ...Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, scalarTensor(value)])),
      });
    }
  }

  #runs(span: UpdateSpan, inputs: Arenas, outputs: Arenas): PieceRuns {
    const whole = span.graph === 'update.tensor' ? span.end - span.start : undefined;
    return new PieceRuns(this.sessions.get(span.graph)!, span, inputs, outputs, whole);
  }

  /** Of all gradients in some ranges; the sum over pieces is float64. */
  async #sumOfSquares(ranges: readonly ParameterRange[]): Promise<number> {
    const piece = scalarTensor(0);
    let sum = 0;
    for (const range of ranges) {
      for (const [gradient] of inPieces(range, this.gradients.data)) {
        await this.sessions.get('norm')!.runInto({ gradient: gradient! }, { sum_of_squares: piece });
        sum += (piece.data as Float32Array)[0]!;
      }
    }
    return sum;
  }
}

/** Cuts a range where the graph that updates the parameters changes, and around tensors that are updated whole. */
function spans(
  range: ParameterRange,
  parameters: readonly ParameterEntry[],
  arena: Arena,
  optimizer: Optimizer,
): UpdateSpan[] {
  const found: UpdateSpan[] = [];
  const inside = parameters
    .map(({ name, role }) => ({ start: arena.offset(name), graph: optimizer.updateOf(role) }))
    .filter(({ start }) => start >= range.start && start < range.end);
  for (const [i, { start, graph }] of inside.entries()) {
    // The gap behind a tensor is zero everywhere and stays so.
    const end = inside[i + 1]?.start ?? range.end;
    const last = found.at(-1);
    if (graph === 'update' && last?.graph === graph) found[found.length - 1] = { ...last, end };
    else found.push({ ...range, start, end, graph });
  }
  return found;
}
