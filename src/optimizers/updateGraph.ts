import { Graph, type Value } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';

/** `update` treats every element for itself and runs over pieces of any length; `update.tensor` needs a whole tensor. */
export type UpdateName = 'update' | 'update.tensor';

export const vector = { dtype: 'float32', shape: ['n'] } as const;
export const scalar = { dtype: 'float32', shape: [] } as const;

/** An update graph with its inputs declared, under the names of src/programs/README.md. */
export interface UpdateStart {
  readonly graph: Graph;
  readonly b: Builder;
  /** `[n]`. */
  readonly parameter: Value;
  /** `[n]`, scaled already where gradients are clipped. */
  readonly gradient: Value;
  /** `[n]` each, in the order of their names. */
  readonly slots: readonly Value[];
  readonly rate: Value;
  readonly decay: Value;
}

/** `clipped` adds the input `gradient_scale`, which the gradient is multiplied by before anything else. */
export function startUpdate(name: UpdateName, slots: readonly string[], clipped: boolean): UpdateStart {
  const graph = new Graph(name);
  const b = new Builder(graph);
  const parameter = graph.input('parameter', vector);
  const gradient = graph.input('gradient', vector);
  return {
    graph,
    b,
    parameter,
    slots: slots.map((slot) => graph.input(slot, vector)),
    rate: graph.input('learning_rate', scalar),
    decay: graph.input('weight_decay', scalar),
    gradient: clipped ? b.op('Mul', [gradient, graph.input('gradient_scale', scalar)]) : gradient,
  };
}
