import { SlimclrError } from '../errors.js';
import { sameShape, type Dimension, type Graph } from '../graph/graph.js';
import { cut } from '../graph/region.js';
import { rewrite, type Rewriter } from '../graph/rewrite.js';
import { formatType } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import type { SliceAttributes } from '../ops/slice.js';

/** Tensors at full width by their names in the manifest: parameters and running statistics. */
export type Weights = ReadonlyMap<string, TensorData>;

/** Elements of a float32 tensor; throws a SlimclrError when there is none of that name, dtype and shape. */
export function weightValues(weights: Weights, name: string, shape: readonly Dimension[]): Float32Array {
  const tensor = weights.get(name);
  if (!tensor) throw new SlimclrError(`the weights hold no tensor "${name}"`);
  if (tensor.data instanceof Float32Array && sameShape(tensor.shape, shape)) return tensor.data;
  const accepted = formatType({ dtype: 'float32', shape });
  throw new SlimclrError(`tensor "${name}" of the weights is ${formatType(tensor)}, ${accepted} is accepted`);
}

/**
 * A graph whose weights no longer change: inputs that default to a tensor of a weights file get that tensor as
 * their inline default, cut to a block where a Slice cuts it, and the Slice goes. Errors are those of
 * `weightValues`.
 */
export function bindWeights(graph: Graph, weights: Weights): Graph {
  return rewrite(graph, {
    ...inlineFrom(weights),
    replace(node, copy) {
      const full = node.inputs[0];
      if (node.op !== 'Slice' || !full) return null;
      const fallback = graph.defaults.get(full);
      if (fallback?.kind !== 'weights') return null;
      const { starts, axes, steps } = node.attributes as SliceAttributes;
      if (steps) return null;
      const { type, dims: shape } = node.outputs[0]!;
      const start = shape.map((_, axis) => starts[axes.indexOf(axis)] ?? 0);
      const all = weightValues(weights, fallback.tensor, full.shape);
      const values = cut(all, full.dims, { start, shape });
      return [copy.graph.input(full.name, type, { kind: 'inline', values })];
    },
  });
}

/** As `bindWeights`, but every tensor whole, and cut by a Slice in the graph where a width uses a block of it. */
export function bindWholeWeights(graph: Graph, weights: Weights): Graph {
  return rewrite(graph, { ...inlineFrom(weights), replace: () => null });
}

function inlineFrom(weights: Weights): Pick<Rewriter, 'fallback'> {
  return {
    fallback(input, fallback) {
      if (fallback.kind === 'inline') return fallback;
      return { kind: 'inline', values: weightValues(weights, fallback.tensor, input.shape) };
    },
  };
}
