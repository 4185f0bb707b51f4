import type { Graph, Node, Value } from '../graph/graph.js';
import { rewrite, type Copy } from '../graph/rewrite.js';
import { once } from '../once.js';
import type { ElementType, TypedArray } from '../onnx/model.js';
import { Builder } from '../ops/builder.js';
import type { GemmAttributes } from '../ops/gemm.js';
import { QuantizationPoints } from './quantizationPoints.js';
import {
  activationScale,
  quantizeLayer,
  type ActivationType,
  type QuantizedLayer,
  type Range,
} from './scales.js';

export interface QuantizationSettings {
  /** What the activations are in; weights are int8, biases int32. */
  readonly activations: ActivationType;
  /** Of each of the `quantizableActivations`, by name. */
  readonly ranges: ReadonlyMap<string, Range>;
  /** Names of layers that stay in float32. */
  readonly float?: ReadonlySet<string>;
}

/** Names of the convolutions and matrix products of a graph with bound weights that can be quantised, in its order. */
export function quantizableLayers(graph: Graph): string[] {
  return new QuantizationPoints(graph).layers.map(({ name }) => name);
}

/** The activations that `quantizeGraph` may ask the ranges of. */
export function quantizableActivations(graph: Graph): readonly Value[] {
  return new QuantizationPoints(graph).activations;
}

/**
 * Static quantisation of an inference graph whose weights are bound and whose batch norms are folded, in the QDQ form:
 * QuantizeLinear and DequantizeLinear around each layer, which runtimes fuse with it into an integer kernel. Weights are
 * symmetric by output channel; a Relu after a quantised node goes into the rounding, whose range begins at 0. Sums and
 * pools between quantised values are done on integers; outputs are float32.
 */
export function quantizeGraph(graph: Graph, settings: QuantizationSettings): Graph {
  return new Quantizer(graph, settings).graph();
}

class Quantizer {
  readonly #points: QuantizationPoints;
  /** Layers that are quantised, and what of them. */
  readonly #layers = new Map<Node, QuantizedLayer>();
  /** Sums and pools that are. */
  readonly #others = new Set<Node>();
  /** Values that are there as integers, and the value whose range they are rounded in. */
  readonly #rounded = new Map<Value, Value>();
  /** Relus that the rounding does. */
  readonly #merged = new Set<Node>();
  readonly #pairs = new Map<Value, Value>();
  readonly #scales = new Map<Value, readonly Value[]>();

  constructor(
    private readonly original: Graph,
    private readonly settings: QuantizationSettings,
  ) {
    this.#points = new QuantizationPoints(original);
    this.#choose();
  }

  graph(): Graph {
    return rewrite(this.original, {
      replace: (node, copy) => {
        const layer = this.#layers.get(node);
        if (layer) return [this.#result(node, this.#layer(node, layer, copy), copy)];
        if (this.#others.has(node)) {
          const inputs = node.inputs.map((input) => this.#read(input!, copy));
          return [this.#result(node, copy.graph.copy(node, inputs)[0]!, copy)];
        }
        if (this.#merged.has(node)) {
          return [this.#pair(node.outputs[0]!, copy.of(node.inputs[0]!), copy)];
        }
        return null;
      },
    });
  }

  /** Decides on the nodes that are quantised. */
  #choose(): void {
    for (const node of this.#points.layers) {
      const layer = this.settings.float?.has(node.name) ? null : this.#quantized(node);
      if (!layer) continue;
      this.#layers.set(node, layer);
      const input = node.inputs[0]!;
      this.#round(input, input);
    }
    for (const node of this.original.nodes) {
      if (this.#layers.has(node)) {
        // A matrix product is the last of its kind mostly: its sums are given out as they are.
        if (node.op === 'Conv') this.#roundResult(node, this.#points.result(node));
      } else if (['Add', 'MaxPool', 'GlobalAveragePool'].includes(node.op)) {
        const [first, ...others] = node.inputs;
        if (![first, ...others].every((input) => this.#rounded.has(input!))) continue;
        this.#others.add(node);
        // The largest of integers is one of them: the same scale.
        const kept = node.op === 'MaxPool' ? this.#rounded.get(first!)! : null;
        if (kept) this.#rounded.set(node.outputs[0]!, kept);
        else this.#roundResult(node, this.#points.result(node));
      }
    }
  }

  #roundResult(node: Node, result: Value): void {
    this.#round(result, result);
    if (result.producer !== node) this.#merged.add(result.producer!);
  }

  #round(value: Value, range: Value): void {
    if (!this.#rounded.has(value)) this.#rounded.set(value, range);
  }

  #quantized({ op, inputs: [x, w, bias], attributes }: Node): QuantizedLayer | null {
    const axis = weightAxis(op, attributes);
    const inner = w!.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
    const channels = w!.dims[axis]!;
    const { scale } = this.#scale(x!);
    const channelOf = (element: number) => Math.floor(element / inner) % channels;
    return quantizeLayer(this.#values(w!), bias ? this.#values(bias) : null, channels, channelOf, scale);
  }

  /** The layer on dequantised operands; its output is not rounded yet. */
  #layer(node: Node, layer: QuantizedLayer, copy: Copy): Value {
    const [x, w, bias] = node.inputs as [Value, Value, Value | undefined];
    const b = new Builder(copy.graph);
    const parameter = (name: string, dtype: ElementType, values: TypedArray, shape = [values.length]) =>
      copy.graph.input(name, { dtype, shape }, { kind: 'inline', values });
    const axis = weightAxis(node.op, node.attributes);
    const weight = b.scope(w.name, () =>
      b.op(
        'DequantizeLinear',
        [
          parameter(w.name, 'int8', layer.weight, [...w.dims]),
          parameter(`${w.name}.scale`, 'float32', layer.weightScales),
          parameter(`${w.name}.zeroPoint`, 'int8', new Int8Array(layer.weightScales.length)),
        ],
        { axis },
      ),
    );
    const inputs = [this.#read(x, copy), weight];
    if (bias) {
      const operands = [
        parameter(bias.name, 'int32', layer.bias!),
        parameter(`${bias.name}.scale`, 'float32', layer.biasScales),
      ];
      inputs.push(b.scope(bias.name, () => b.op('DequantizeLinear', operands, { axis: 0 })));
    }
    return copy.graph.copy(node, inputs)[0]!;
  }

  /** What stands for a quantised node's output. */
  #result(node: Node, output: Value, copy: Copy): Value {
    const original = node.outputs[0]!;
    // The rounding of a Relu's output comes in its place.
    return this.#rounded.has(original) ? this.#pair(original, output, copy) : output;
  }

  /** What a quantised node reads for a value of the original. */
  #read(value: Value, copy: Copy): Value {
    return this.#pairs.get(value) ?? this.#pair(value, copy.of(value), copy);
  }

  /** A value of the copy, rounded. */
  #pair(original: Value, value: Value, copy: Copy): Value {
    const b = new Builder(copy.graph);
    const operands = this.#operands(this.#rounded.get(original)!, copy);
    const rounded = b.scope(original.name, () =>
      b.op('DequantizeLinear', [b.op('QuantizeLinear', [value, ...operands]), ...operands]),
    );
    this.#pairs.set(original, rounded);
    return rounded;
  }

  /** Scale and zero point of the values that are rounded in a range. */
  #operands(range: Value, copy: Copy): readonly Value[] {
    return once(this.#scales, range, () => {
      const { activations } = this.settings;
      const { scale, zeroPoint } = this.#scale(range);
      const scalar = (part: string, dtype: ElementType, values: TypedArray) =>
        copy.graph.input(`${range.name}.${part}`, { dtype, shape: [] }, { kind: 'inline', values });
      const type = activations === 'uint8' ? Uint8Array : Int8Array;
      return [
        scalar('scale', 'float32', Float32Array.of(scale)),
        scalar('zeroPoint', activations, type.of(zeroPoint)),
      ];
    });
  }

  #scale({ name }: Value) {
    const range = this.settings.ranges.get(name);
    if (!range) throw new Error(`${this.original.name}: no range of ${name} is given`);
    return activationScale(range, this.settings.activations);
  }

  #values(value: Value): Float32Array {
    const fallback = this.original.defaults.get(value);
    if (fallback?.kind !== 'inline') throw new Error(`${value.name} has no inline default`);
    return fallback.values as Float32Array;
  }
}

/** Axis of a layer's weight that its output channels are along. */
function weightAxis(op: string, attributes: object): number {
  return op === 'Conv' || (attributes as GemmAttributes).transB ? 0 : 1;
}
