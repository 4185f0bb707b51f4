import type { Graph, Node, TypedArray, Value } from '../graph/graph.js';
import { rewrite } from '../graph/rewrite.js';
import { elementCount } from '../onnx/model.js';
import type { BatchNormalizationAttributes } from '../ops/batchNormalization.js';
import { Builder } from '../ops/builder.js';

/**
 * Folds each BatchNormalization into the Conv before it where nothing else reads the Conv and all weights are
 * inline defaults: with s = gamma / sqrt(variance + epsilon), the weight of every output channel is multiplied by
 * its s, and the bias is beta + (bias - mean) s. Computed in float64. The convolution keeps its names; its bias is
 * named after its weight. Where a weight is among those to keep, nothing is folded.
 */
export function foldBatchNorm(graph: Graph, keeps: (weight: Value) => boolean = () => false): Graph {
  const foldable = foldableNorms(graph, keeps);
  const folded = new Set(foldable.values());
  return rewrite(graph, {
    replace(node, copy) {
      if (folded.has(node)) return [copy.of(node.inputs[0]!)];
      const norm = foldable.get(node);
      if (!norm) return null;
      const { weight, bias } = fold(graph, node, norm);
      const [x, w] = node.inputs as [Value, Value];
      const input = (name: string, shape: readonly number[], values: TypedArray) =>
        copy.graph.input(name, { dtype: 'float32', shape }, { kind: 'inline', values });
      return copy.graph.copy(node, [
        copy.of(x),
        input(w.name, w.dims, weight),
        input(w.name.replace(/\.weight$/, '') + '.bias', [bias.length], bias),
      ]);
    },
  });
}

/**
 * As `foldBatchNorm`, but the weight stays as it is, an inline default or computed by the graph, and the convolution
 * reads it times s of each output channel: weights that widths share differ by that alone.
 */
export function scaleByBatchNorm(graph: Graph): Graph {
  const scaled = foldableNorms(graph, () => false, 2);
  const gone = new Set(scaled.values());
  return rewrite(graph, {
    replace(node, copy) {
      if (gone.has(node)) return [copy.of(node.inputs[0]!)];
      const norm = scaled.get(node);
      if (!norm) return null;
      const { scale, bias } = scaleAndBias(graph, node, norm);
      const [x, w] = node.inputs as [Value, Value];
      // The whole weight where the graph cuts it.
      const name = (w.producer?.inputs[0] ?? w).name.replace(/\.weight$/, '');
      const input = (suffix: string, shape: readonly number[], values: Float32Array) =>
        copy.graph.input(`${name}.${suffix}`, { dtype: 'float32', shape }, { kind: 'inline', values });
      const b = new Builder(copy.graph);
      const factor = input('scale', [bias.length, 1, 1, 1], Float32Array.from(scale));
      const weight = b.scope(name, () => b.op('Mul', [copy.of(w), factor]));
      return copy.graph.copy(node, [copy.of(x), weight, input('bias', [bias.length], bias)]);
    },
  });
}

/** Convolutions and the batch norm to fold into each; of those, inputs from `from` on are inline defaults. */
function foldableNorms(graph: Graph, keeps: (weight: Value) => boolean, from = 1): Map<Node, Node> {
  const readers = new Map<Value, number>();
  const read = (value: Value | null) => value && readers.set(value, (readers.get(value) ?? 0) + 1);
  for (const node of graph.nodes) node.inputs.forEach(read);
  [...graph.outputs.values()].forEach(read);
  const isBound = (value: Value | null) =>
    !value || (graph.defaults.get(value)?.kind === 'inline' && !keeps(value));
  const pairs = new Map<Node, Node>();
  for (const norm of graph.nodes) {
    const conv = norm.inputs[0]?.producer;
    if (norm.op !== 'BatchNormalization' || conv?.op !== 'Conv') continue;
    const weights = [...conv.inputs.slice(from), ...norm.inputs.slice(1)];
    if (weights.every(isBound) && readers.get(conv.outputs[0]!) === 1) pairs.set(conv, norm);
  }
  return pairs;
}

function fold(graph: Graph, conv: Node, norm: Node): { weight: Float32Array; bias: Float32Array } {
  const { scale, bias } = scaleAndBias(graph, conv, norm);
  const w = conv.inputs[1]!;
  const perOutput = elementCount(w.dims.slice(1));
  const weight = inlineValues(graph, w).map((value, i) => value * scale[Math.floor(i / perOutput)]!);
  return { weight, bias };
}

/** s of each output channel, and the bias. */
function scaleAndBias(graph: Graph, conv: Node, norm: Node): { scale: Float64Array; bias: Float32Array } {
  const { epsilon } = norm.attributes as BatchNormalizationAttributes;
  const [gamma, beta, mean, variance] = norm.inputs.slice(1).map((value) => inlineValues(graph, value!)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const own = conv.inputs[2];
  const scale = Float64Array.from(gamma, (g, k) => g / Math.sqrt(variance[k]! + epsilon));
  const ownBias = own ? inlineValues(graph, own) : null;
  return {
    scale,
    bias: beta.map((shift, k) => shift + ((ownBias?.[k] ?? 0) - mean[k]!) * scale[k]!),
  };
}

function inlineValues(graph: Graph, value: Value): Float32Array {
  const fallback = graph.defaults.get(value);
  if (fallback?.kind !== 'inline') throw new Error(`${value.name} has no inline default`);
  return fallback.values as Float32Array;
}
