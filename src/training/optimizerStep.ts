import type { OptimizerConfig } from '../config/optimization.js';
import type { Arena } from '../engines/arena.js';
import { clipScale } from '../optimizers/clipping.js';
import { optimizerOf, type Optimizer } from '../optimizers/optimizer.js';
import type { UpdateName } from '../optimizers/updateGraph.js';
import type { ParameterEntry } from '../programs/manifest.js';
import { longPiece, pieceRuns } from './pieces.js';
import { ScalarInputs, ScalarOutputs } from './scalars.js';
import type { ParameterRange, TrainingState } from './state.js';
import type { StepGraphs, StepRun } from './steps/stepGraphs.js';

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

/** The pieces of a range whose gradients' squares are summed, each into a scalar. */
interface NormPieces {
  readonly runs: readonly StepRun[];
  readonly sums: readonly string[];
}

interface OptimizerStepOptions {
  readonly readsNorm?: boolean;
  readonly own?: (runs: readonly StepRun[]) => readonly StepRun[];
}

/** One step of the optimiser over the arenas, in place. */
export class OptimizerStep {
  readonly #optimizer: Optimizer;
  readonly #own: NonNullable<OptimizerStepOptions['own']>;
  readonly #scalars: ScalarInputs;
  readonly #spans: readonly (UpdateSpan & { readonly runs: readonly StepRun[] })[];
  /** By range; where the norm of the gradients is asked for. */
  readonly #norms = new Map<ParameterRange, NormPieces>();
  readonly #sums: ScalarOutputs | null = null;

  /**
   * `parameters` are the manifest's; `gradients` is laid out like the parameters. `readsNorm`: whether `sumOfSquares` is
   * asked for although nothing bounds it; `own`: those of the updates that are this replica's to do.
   */
  constructor(
    private readonly graphs: StepGraphs,
    private readonly config: OptimizerConfig,
    parameters: readonly ParameterEntry[],
    private readonly state: Pick<TrainingState, 'parameters' | 'slots' | 'ranges'>,
    gradients: Arena,
    { readsNorm = false, own = (runs) => runs }: OptimizerStepOptions = {},
  ) {
    const { engine } = graphs;
    this.#own = own;
    this.#optimizer = optimizerOf(config);
    const scalarNames = Object.keys(this.#optimizer.scalars(1));
    this.#scalars = new ScalarInputs(engine, [
      'learning_rate',
      'gradient_scale',
      'decay',
      'no_decay',
      ...scalarNames.flatMap((name) => [`${name}.all`, `${name}.narrow`]),
    ]);
    this.#scalars.set('decay', config.weightDecay);
    const written = { parameter: state.parameters, ...Object.fromEntries(state.slots) };
    const inputs = { ...written, gradient: gradients };
    const outputs = Object.fromEntries(
      Object.entries(written).map(([name, arena]) => [`new_${name}`, arena]),
    );
    this.#spans = state.ranges
      .flatMap((range) => spans(range, parameters, state.parameters, this.#optimizer))
      .map((span) => {
        const { graph, start, end, decay, fullWidth } = span;
        const scalars = {
          learning_rate: this.#scalars.place('learning_rate'),
          weight_decay: this.#scalars.place(decay ? 'decay' : 'no_decay'),
          ...(config.clipNorm > 0 && { gradient_scale: this.#scalars.place('gradient_scale') }),
          ...Object.fromEntries(
            scalarNames.map((name) => [name, this.#scalars.place(`${name}.${fullWidth ? 'all' : 'narrow'}`)]),
          ),
        };
        const whole = graph === 'update.tensor' ? end - start : undefined;
        return { ...span, runs: pieceRuns(graphs, graph, span, { inputs, outputs, scalars }, whole) };
      });
    if (config.clipNorm === 0 && !readsNorm) return;
    const pieces = state.ranges.map((range) => [range, gradients.pieces(range, longPiece)] as const);
    const names = pieces.map(([{ start }, places]) => places.map((_, i) => `${start}.${i}`));
    this.#sums = new ScalarOutputs(engine, names.flat());
    for (const [r, [range, places]] of pieces.entries()) {
      const sums = names[r]!;
      const runs = places.map((gradient, i) =>
        graphs.bind('norm', { gradient }, { sum_of_squares: this.#sums!.place(sums[i]!) }),
      );
      this.#norms.set(range, { runs, sums });
    }
  }

  /** Clips by the norm that `sumOfSquares` gave, or else asks for it. */
  async run({ learningRate, allWidths, steps }: UpdateInput, sumOfSquares?: number): Promise<void> {
    const { clipNorm } = this.config;
    this.#scalars.set('learning_rate', learningRate);
    for (const part of ['all', 'narrow'] as const) {
      const scalars = Object.entries(this.#optimizer.scalars(steps[part]));
      for (const [name, value] of scalars) this.#scalars.set(`${name}.${part}`, value);
    }
    if (clipNorm > 0) {
      const squares = sumOfSquares ?? (await this.sumOfSquares(allWidths));
      this.#scalars.set('gradient_scale', clipScale(squares, clipNorm));
    }
    await this.#scalars.send();
    await this.graphs.run(this.#own(this.#spans.filter(active(allWidths)).flatMap(({ runs }) => runs)));
  }

  /** Of all gradients of a step; the sum over pieces is float64. */
  async sumOfSquares(allWidths: boolean): Promise<number> {
    const norms = this.state.ranges.filter(active(allWidths)).map((range) => this.#norms.get(range)!);
    await this.graphs.run(norms.flatMap(({ runs }) => runs));
    await this.#sums!.receive();
    return norms.flatMap(({ sums }) => sums).reduce((total, name) => total + this.#sums!.get(name), 0);
  }
}

/** Which ranges a step updates. */
function active(allWidths: boolean): (range: ParameterRange) => boolean {
  return ({ fullWidth }) => allWidths || fullWidth;
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
