import type { Engine, Place } from '../../engines/engine.js';
import type { Manifest } from '../../programs/manifest.js';
import { asPair } from '../../targets/webgpu/float64.js';
import { pieceRuns } from '../pieces.js';
import type { TrainingState } from '../state.js';
import type { StepGraphs, StepRun } from './stepGraphs.js';

/** The momentum update of the key network's parameters, those that the full width uses. */
export class KeyMoves {
  readonly runs: readonly StepRun[];
  readonly #engine: Engine;
  readonly #momentum: Place<'float64' | 'float32'>;

  constructor(
    graphs: StepGraphs,
    manifest: Manifest,
    { engine, keys, parameters, ranges }: Pick<TrainingState, 'engine' | 'keys' | 'parameters' | 'ranges'>,
  ) {
    this.#engine = engine;
    this.#momentum = momentumPlace(engine, manifest);
    const momentum = this.#momentum;
    this.runs = ranges
      .filter(({ fullWidth }) => keys && fullWidth)
      .flatMap((range) =>
        pieceRuns(graphs, 'momentum', range, {
          inputs: { query: parameters, key: keys! },
          outputs: { new_key: keys! },
          scalars: { momentum },
        }),
      );
  }

  /** What the runs that follow take. */
  async setMomentum(momentum: number): Promise<void> {
    const { memory } = this.#momentum;
    const values =
      memory.type === 'float64' ? Float64Array.of(momentum) : Float32Array.of(...asPair(momentum));
    await this.#engine.write(memory, values);
  }
}

/** Of the momentum as the graph declares it: float64, or as two of float32 where the target has none. */
function momentumPlace(engine: Engine, { graphs }: Manifest): Place<'float64' | 'float32'> {
  const inputs = graphs.find(({ kind }) => kind === 'momentum')?.inputs ?? [];
  const isPair = inputs.some(({ name, dtype }) => name === 'momentum' && dtype === 'float32');
  const [type, count] = isPair ? (['float32', 2] as const) : (['float64', 1] as const);
  return { memory: engine.allocate(type, count), offset: 0, shape: isPair ? [count] : [] };
}
