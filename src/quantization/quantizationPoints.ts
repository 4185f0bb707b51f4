import type { Graph, Node, Value } from '../graph/graph.js';
import type { GemmAttributes } from '../ops/gemm.js';

/** How the values of an inference graph hang together, as far as quantisation asks. */
export class QuantizationPoints {
  readonly #readers = new Map<Value, Node[]>();
  readonly #given: ReadonlySet<Value>;

  constructor(private readonly graph: Graph) {
    for (const node of graph.nodes) {
      for (const input of new Set(node.inputs)) {
        if (input) this.#readers.set(input, [...(this.#readers.get(input) ?? []), node]);
      }
    }
    this.#given = new Set(graph.outputs.values());
  }

  /** Convolutions and matrix products whose weight, and bias, are bound: what is quantised, in the order of the graph. */
  get layers(): readonly Node[] {
    return this.graph.nodes.filter((node) => this.#isLayer(node));
  }

  /** What is rounded for the readers of a node: its output, or that of the Relu which alone reads it. */
  result(node: Node): Value {
    const output = node.outputs[0]!;
    const [reader, ...others] = this.#readers.get(output) ?? [];
    if (reader?.op !== 'Relu' || others.length > 0 || this.#given.has(output)) return output;
    return reader.outputs[0]!;
  }

  /** Activations that a quantised graph may round, whatever stays in float. */
  get activations(): readonly Value[] {
    const found = new Set<Value>();
    for (const layer of this.layers) found.add(layer.inputs[0]!);
    for (const node of this.graph.nodes) {
      if (['Conv', 'Add', 'MaxPool', 'GlobalAveragePool'].includes(node.op)) found.add(this.result(node));
    }
    return [...found];
  }

  #isLayer({ op, inputs: [, weight, bias], attributes }: Node): boolean {
    const bound = (value: Value | null | undefined) =>
      value && this.graph.defaults.get(value)?.kind === 'inline';
    if (!bound(weight) || (bias && !bound(bias))) return false;
    if (op === 'Conv') return true;
    return op === 'Gemm' && !(attributes as GemmAttributes).transA && (bias?.shape.length ?? 1) === 1;
  }
}
