import type { Place, Places } from '../../engines/engine.js';
import type { HeldTensors } from '../../methods/step.js';
import { once } from '../../once.js';
import { keyPrefix } from '../../programs/key.js';
import type { GraphEntry } from '../../programs/manifest.js';
import type { TrainingState } from '../state.js';
import type { StepGraphs, StepRun } from './stepGraphs.js';

/** What a run is bound to beside the tensors that it is asked for with, and parameters and statistics. */
export interface Beside {
  readonly inputs?: Places;
  readonly outputs?: Places;
}

/** Runs of a step's graphs over the parameters and statistics of the state: each is bound once, when it is first asked for. */
export class PreparedRuns {
  readonly #runs = new Map<string, StepRun>();

  constructor(
    private readonly graphs: StepGraphs,
    private readonly state: Pick<TrainingState, 'keys' | 'parameters' | 'statistics'>,
  ) {}

  /** A run of a graph with these tensors. `variant`: what else `beside` depends on. */
  get(
    name: string,
    inputs: HeldTensors,
    outputs: HeldTensors = {},
    beside: () => Beside = () => ({}),
    variant = '',
  ): StepRun {
    const ids = (tensors: HeldTensors) =>
      Object.entries(tensors).map(([tensor, held]) => `${tensor}=${placeId(held as Place)}`);
    const key = [name, variant, ...ids(inputs), ...ids(outputs)].join(' ');
    return once(this.#runs, key, () => {
      const more = beside();
      const weights = this.#weights(this.graphs.entry(name));
      return this.graphs.bind(
        name,
        { ...(inputs as Places), ...more.inputs, ...weights },
        { ...(outputs as Places), ...more.outputs },
      );
    });
  }

  /** Where a graph's new statistics go: where it reads them. */
  newStatistics({ outputs }: GraphEntry): Places {
    const { statistics } = this.state;
    const places: Record<string, Place> = {};
    for (const { name, of } of outputs) {
      if (of !== undefined && statistics.has(of)) places[name] = statistics.place(of);
    }
    return places;
  }

  /** Parameters and statistics that a graph reads. */
  #weights({ inputs }: GraphEntry): Places {
    const { keys, parameters, statistics } = this.state;
    const places: Record<string, Place> = {};
    for (const { name, kind } of inputs) {
      if (kind === 'statistic') places[name] = statistics.place(name);
      else if (kind !== 'parameter') continue;
      else if (name.startsWith(keyPrefix)) places[name] = keys!.place(name.slice(keyPrefix.length));
      else places[name] = parameters.place(name);
    }
    return places;
  }
}

const ids = new WeakMap<Place, number>();
let known = 0;

/** A number that stands for a place in keys. */
export function placeId(place: Place): number {
  let id = ids.get(place);
  if (id === undefined) ids.set(place, (id = known++));
  return id;
}
