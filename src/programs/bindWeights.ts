import { SlimclrError } from '../errors.js';
import { sameShape, type Dimension, type Graph } from '../graph/graph.js';
import { rewrite } from '../graph/rewrite.js';
import { elementCount, formatType } from '../onnx/model.js';
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
 * their inline default, cut to the leading block where a Slice cuts it, and the Slice goes. Errors are those of
 * `weightValues`.
 */
export function bindWeights(graph: Graph, weights: Weights): Graph {
  return rewrite(graph, {
    fallback(input, fallback) {
      if (fallback.kind === 'inline') return fallback;
      return { kind: 'inline', values: weightValues(weights, fallback.tensor, input.shape) };
    },
    replace(node, copy) {
      const full = node.inputs[0];
      if (node.op !== 'Slice' || !full) return null;
      const fallback = graph.defaults.get(full);
      if (fallback?.kind !== 'weights') return null;
      const { starts, steps } = node.attributes as SliceAttributes;
      if (steps || starts.some((start) => start !== 0)) return null;
      const block = node.outputs[0]!.type;
      const all = weightValues(weights, fallback.tensor, full.shape);
      const values = leadingBlock(all, full.dims, node.outputs[0]!.dims);
      return [copy.graph.input(full.name, block, { kind: 'inline', values })];
    },
  });
}

/** `values[:block[0], :block[1], ...]` of a row-major tensor. */
function leadingBlock(
  values: Float32Array,
  shape: readonly number[],
  block: readonly number[],
): Float32Array {
  if (sameShape(shape, block)) return values;
  const [outer, ...inner] = block as [number, ...number[]];
  const rest = shape.slice(1);
  const [stride, size] = [elementCount(rest), elementCount(inner)];
  const out = new Float32Array(outer * size);
  for (let i = 0; i < outer; i++) {
    out.set(leadingBlock(values.subarray(i * stride, (i + 1) * stride), rest, inner), i * size);
  }
  return out;
}
