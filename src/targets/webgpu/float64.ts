import { Graph, type Node, type Value } from '../../graph/graph.js';
import type { CastAttributes } from '../../ops/cast.js';
import { Builder } from '../../ops/builder.js';

/** A float64 number or tensor as float32: `high` is the nearest, `low` what it lacks; null where that is 0. */
interface Pair {
  readonly high: Value;
  readonly low: Value | null;
}

/**
 * Replaces float64 within a graph of float32, which shaders do not have. A scalar input becomes float32 `[2]`: the
 * number rounded, and what rounding took (`asPair`). Sums in float64 become sums in float32, which a device adds up in
 * parallel parts. Graphs that take or give float64 tensors stay as they are: they are the user's own.
 */
export function withoutFloat64(original: Graph): Graph {
  const isFloat64 = ({ dtype }: Value) => dtype === 'float64';
  const held = [...original.inputs.filter(({ shape }) => shape.length > 0), ...original.outputs.values()];
  if (held.some(isFloat64)) return original;

  const graph = new Graph(original.name);
  const b = new Builder(graph);
  const image = new Map<Value, Value>();
  const pairs = new Map<Value, Pair>();
  const of = (value: Value): Value => {
    let known = image.get(value);
    if (!known) {
      known = graph.constant(original.constants.get(value)!, value.dims, value.dtype);
      image.set(value, known);
    }
    return known;
  };
  const pairOf = (value: Value): Pair => {
    let known = pairs.get(value);
    if (!known) pairs.set(value, (known = constantPair(graph, original.constants.get(value)!, value.dims)));
    return known;
  };

  for (const input of original.inputs) {
    if (isFloat64(input)) pairs.set(input, pairInput(b, input));
    else image.set(input, graph.input(input.name, input.type, original.defaults.get(input)));
  }
  for (const node of original.nodes) {
    if (![...node.inputs, ...node.outputs].some((value) => value && isFloat64(value))) {
      const outputs = graph.copy(
        node,
        node.inputs.map((input) => input && of(input)),
      );
      for (const [i, output] of node.outputs.entries()) image.set(output, outputs[i]!);
      continue;
    }
    const [output] = node.outputs as [Value];
    const result = graph.scope(node.name, () => replaced(b, node, of, pairOf));
    if (isFloat64(output)) pairs.set(output, result);
    else image.set(output, result.high);
  }
  for (const [name, value] of original.outputs) graph.output(name, of(value));
  return graph;
}

/** A float64 number as the two of float32 that its input of a graph without float64 takes. */
export function asPair(value: number): readonly [high: number, low: number] {
  const high = Math.fround(value);
  return [high, Math.fround(value - high)];
}

function pairInput(b: Builder, { name }: Value): Pair {
  const both = b.graph.input(name, { dtype: 'float32', shape: [2] });
  const part = (i: number) => b.reshape(b.op('Slice', [both], { starts: [i], ends: [i + 1], axes: [0] }), []);
  return b.scope(name, () => ({ high: part(0), low: part(1) }));
}

function constantPair(graph: Graph, values: ArrayLike<number | bigint>, shape: readonly number[]): Pair {
  const both = Array.from(values, (value) => asPair(Number(value)));
  const part = (i: 0 | 1) =>
    graph.constant(
      Float32Array.from(both, (pair) => pair[i]),
      shape,
      'float32',
    );
  return { high: part(0), low: both.every(([, low]) => low === 0) ? null : part(1) };
}

/** What stands for the output of a node that reads or gives float64. */
function replaced(
  b: Builder,
  { name, op, inputs, outputs, attributes }: Node,
  of: (value: Value) => Value,
  pairOf: (value: Value) => Pair,
): Pair {
  const [first, second] = inputs as Value[];
  const pair = first?.dtype === 'float64' ? pairOf(first) : null;
  const exact = pair?.low === null ? pair.high : null;
  if (op === 'Cast' && pair) {
    const { to } = attributes as CastAttributes;
    if (to === 'float32') return { high: pair.high, low: null };
  } else if (op === 'Cast' && outputs[0]!.dtype === 'float64') {
    return { high: of(first!), low: null };
  } else if (op === 'Sub' && pair) {
    const taken = pairOf(second!);
    // Of numbers that are at most a factor of two apart the difference is exact, and its digits are kept.
    let high = b.op('Sub', [pair.high, taken.high]);
    if (pair.low) high = b.op('Add', [high, pair.low]);
    if (taken.low) high = b.op('Sub', [high, taken.low]);
    return { high, low: null };
  } else if (op === 'Sqrt' && exact) {
    return { high: b.op('Sqrt', [exact]), low: null };
  } else if (op === 'ReduceSumSquare' && exact) {
    return { high: b.op('ReduceSumSquare', [exact], attributes), low: null };
  }
  throw new Error(`webgpu: ${name} computes in float64; accepted: Cast, Sub, Sqrt and ReduceSumSquare`);
}
