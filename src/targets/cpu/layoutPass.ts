import { Graph, type Node, type Value } from '../../graph/graph.js';
import { once } from '../../once.js';
import { Builder } from '../../ops/builder.js';
import type { ConvAttributes } from '../../ops/conv.js';
import type { OpName } from '../../ops/operator.js';
import { verify } from '../../ops/verify.js';
import { lowerNode } from '../lowerNode.js';
import { formOf, storedShape, wholeBlocks } from '../parameterLayout.js';
import type { ParameterPlaces } from '../target.js';
import type { NormRecord } from './batchNorm.js';
import type { Choices, ConvSize, MapSize } from './choices.js';
import { geometryOf, sizeOf } from './convolution.js';
import type { KernelRules } from './guard.js';
import { Kernels } from './kernels.js';
import { LaidOutValue, type Layout } from './laidOutValue.js';

/** Rewrites one node; null where the rule does not apply and the portable lowering is to be taken. */
export type Rule = (lowering: LayoutPass, node: Node) => readonly LaidOutValue[] | null;

/**
 * The layout pass: walks the composite graph once, keeps for every value the layouts it is held in, and lets each
 * operator's rule take its inputs in the layout it works on. Conversions appear where a rule asks for a layout that
 * is not there, so they are as few as the rules allow. Some results stay open (`Pending`) until they are read, so
 * that the reader can become a part of the operation.
 */
export class LayoutPass {
  readonly k: Kernels;
  readonly b: Builder;
  /** What the forward pass of a batch norm leaves for its gradient, by its mean in the composite graph. */
  readonly norms = new Map<Value, NormRecord>();
  /** Mean of each channel of a map: the gradients of a residual and of the branch beside it begin with the same. */
  readonly means = new Map<Value, Value>();
  /** Maps at half the size, every second row and column, by the value they come from. */
  readonly halves = new Map<LaidOutValue, LaidOutValue>();
  /** Diagonal matrices of a vector: both gradients of a convolution take those of its batch norm's factor. */
  readonly diagonals = new Map<Value, Value>();
  /** For an output gradient: the weight gradient made of it, which the input gradient waits for. */
  readonly weightGradients = new Map<Value, Value>();
  /**
   * Gradients to which Relu's own gradient has been applied already, with the output of that Relu: its rule passes them
   * on. E.g. MaxPoolGrad behind Relu drops what Relu would, on a quarter of the positions.
   */
  readonly reluApplied = new Map<Value, Value>();
  readonly #images = new Map<Value, LaidOutValue>();
  /** null stands for an output of the graph. */
  readonly #readers = new Map<Value, (Node | null)[]>();
  readonly #graph: Graph;
  readonly #folds = new Map<string, boolean>();
  readonly #convolutions: readonly ConvSize[];

  constructor(
    private readonly original: Graph,
    readonly choices: Choices,
    rules: KernelRules,
    /** Told of each convolution, or gradient of one, that takes the portable lowering. */
    private readonly onDeclined?: (graph: Graph, node: Node) => void,
  ) {
    this.#graph = new Graph(original.name);
    this.b = new Builder(this.#graph);
    this.k = new Kernels(this.b, rules);
    for (const node of original.nodes) for (const input of node.inputs) if (input) this.#read(input, node);
    for (const value of original.outputs.values()) this.#read(value, null);
    this.#convolutions = original.nodes.flatMap((node) => convSize(node) ?? []);
  }

  #read(value: Value, reader: Node | null): void {
    const readers = this.#readers.get(value);
    if (readers) readers.push(reader);
    else this.#readers.set(value, [reader]);
  }

  /** Whether a value of the composite graph is read once, so that its only reader may become a part of it. */
  readOnce(value: Value): boolean {
    return this.readersOf(value).length === 1;
  }

  /** The nodes that read a value of the composite graph, and null for each output that it is. */
  readersOf(value: Value): readonly (Node | null)[] {
    return this.#readers.get(value) ?? [];
  }

  onlyReadBy(value: Value, operators: readonly OpName[]): boolean {
    return this.readersOf(value).every((reader) => operators.includes(reader?.op as OpName));
  }

  /** What stands for a value of the composite graph. */
  of(value: Value): LaidOutValue {
    let placed = this.#images.get(value);
    if (!placed) {
      const constant = this.original.constants.get(value);
      if (!constant) throw new Error(`${this.original.name}: ${value.name} is read before it is defined`);
      const copy = this.#graph.constant(constant, value.dims, value.dtype);
      this.#images.set(value, (placed = this.laidOut(value, 'plain', copy)));
    }
    return placed;
  }

  laidOut(like: Value, layout: Layout, value: Value, zeroPadded = true): LaidOutValue {
    return LaidOutValue.of(this.k, like.type, layout, value, zeroPadded);
  }

  /** Whether the channels of an activation, of one sample or several, fill whole blocks. */
  whole(value: Value): boolean {
    const [n, c] = value.dims as [number, number];
    return c % this.k.block === 0 || this.k.pack(n, c) > 1;
  }

  /** Whether maps of a size are folded: one answer for a graph, or conversions would stand between its layers. */
  folds(map: MapSize): boolean {
    return once(this.#folds, `${map.height}x${map.width}`, () => {
      const over = this.#convolutions.filter(
        ({ height, width }) => height === map.height && width === map.width,
      );
      return this.choices.folded(map, over);
    });
  }

  run(rules: Readonly<Record<string, Rule>>, places: ParameterPlaces): Graph {
    const { original } = this;
    for (const input of original.inputs) {
      const layout = places.inputs.get(input.name) ?? 'plain';
      const type = {
        ...input.type,
        shape: layout === 'plain' ? input.shape : storedShape(input.dims, layout),
      };
      const copy = this.#graph.input(input.name, type, original.defaults.get(input));
      const value = layout === 'plain' ? copy : this.k.reshape(copy, wholeBlocks(input.dims, layout));
      this.#images.set(input, this.laidOut(input, formOf(layout), value));
    }
    for (const node of original.nodes) {
      const outputs = this.#graph.scope(node.name, () => rules[node.op]?.(this, node) ?? null);
      if (!outputs && node.op.startsWith('Conv')) this.onDeclined?.(original, node);
      for (const [i, placed] of (outputs ?? this.#portable(node)).entries()) {
        if (placed) this.#images.set(node.outputs[i]!, placed);
      }
    }
    for (const [name, value] of original.outputs) {
      const layout = places.outputs.get(name) ?? 'plain';
      const result = this.of(value).get(formOf(layout));
      // A Reshape at the end would be a copy: the elements of a gradient lie as stored, its shape is its last operator's.
      this.#graph.output(name, places.outputs.has(name) ? this.k.unshaped(result) : result);
    }
    this.#graph.prune();
    verify(this.#graph);
    return this.#graph;
  }

  /** The node on plain values: by its portable lowering, or as it is. */
  #portable(node: Node): readonly (LaidOutValue | null)[] {
    const inputs = node.inputs.map((input) => input && this.of(input).get('plain'));
    const values = lowerNode(this.b, node, inputs, 'cpu');
    return values.map((value, i) => value && this.laidOut(node.outputs[i]!, 'plain', value));
  }
}

/** The size of a convolution that the blocked kernels may take. */
function convSize({ op, inputs, outputs, attributes }: Node): ConvSize | null {
  if (op !== 'Conv') return null;
  const [x, w] = inputs as [Value, Value];
  const geometry = geometryOf(x.shape, w.dims, outputs[0]!.shape, attributes as ConvAttributes);
  return geometry && sizeOf(geometry);
}
