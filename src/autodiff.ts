import type { Value } from './graph/graph.js';
import { sameShape, sameType } from './graph/graph.js';
import { formatType, isFloating } from './onnx/model.js';
import type { Builder } from './ops/builder.js';
import { summed } from './ops/channels.js';
import { operatorOf } from './ops/index.js';
import { notDifferentiable } from './ops/operator.js';

/**
 * Reverse-mode differentiation: adds to the graph the nodes that compute the gradient of a scalar with respect
 * to each of `parameters`, and returns them in that order.
 *
 * The rules of the operator table give local gradients at the output's shape; everything between them is done
 * here: sums where a value is used more than once, sums over broadcast axes, a check of every gradient's type
 * against its value's, and no work for gradients that nobody asked for.
 *
 * `seed` is the gradient of the loss itself, `[]`, default 1: the place for a loss weight.
 * Throws when a parameter does not influence the loss or only through an operator without a gradient.
 */
export function gradients(b: Builder, loss: Value, parameters: readonly Value[], seed?: Value): Value[] {
  if (loss.shape.length !== 0)
    throw new Error(`${loss.name} has shape [${loss.shape.join(',')}], a scalar is needed`);
  if (seed && !sameType(seed.type, loss.type))
    throw new Error(`the seed is ${formatType(seed.type)}, the loss ${formatType(loss.type)}`);
  const nodes = [...b.graph.nodes];

  const influenced = new Set<Value>(parameters);
  for (const node of nodes) {
    if (node.inputs.some((input) => input && influenced.has(input))) {
      for (const output of node.outputs) influenced.add(output);
    }
  }

  const gradientOf = new Map<Value, Value>([[loss, seed ?? b.scalarLike(1, loss)]]);
  for (const node of nodes.reverse()) {
    const needs = node.inputs.map(
      (input) => input !== null && influenced.has(input) && isFloating(input.dtype),
    );
    const incoming = node.outputs.map((output) => gradientOf.get(output) ?? null);
    if (!needs.includes(true) || incoming.every((gradient) => gradient === null)) continue;

    const operator = operatorOf(node);
    const rule = operator?.gradient ?? notDifferentiable;
    if (rule === notDifferentiable) throw new Error(`${node.name}: ${node.op} is not differentiable`);

    b.graph.scope(`${node.name}.grad`, () => {
      const outgoing = rule({
        b,
        inputs: node.inputs,
        outputs: node.outputs,
        gradients: incoming,
        needs,
        attributes: node.attributes,
      });
      for (const [i, input] of node.inputs.entries()) {
        if (!input || !needs[i]) continue;
        const gradient = outgoing[i];
        if (!gradient) throw new Error(`${node.name}: ${node.op} has no gradient for input ${i}`);
        const fitted = unbroadcast(b, gradient, input, node.name, i);
        const sum = gradientOf.get(input);
        gradientOf.set(input, sum ? b.op('Add', [sum, fitted]) : fitted);
      }
    });
  }

  return parameters.map((parameter) => {
    const gradient = gradientOf.get(parameter);
    if (!gradient) throw new Error(`${loss.name} does not depend on ${parameter.name}`);
    return gradient;
  });
}

/** Sums a gradient over the axes along which its value was broadcast, and checks that it fits then. */
function unbroadcast(b: Builder, gradient: Value, value: Value, node: string, index: number): Value {
  let fitted = gradient;
  if (!sameShape(gradient.shape, value.shape)) {
    const extra = gradient.shape.length - value.shape.length;
    const axes = gradient.shape.flatMap((_, i) => (i < extra || value.shape[i - extra] === 1 ? [i] : []));
    if (extra >= 0 && axes.length > 0) {
      fitted = b.reshape(summed(b, gradient, { axes, keepdims: false }), value.dims);
    }
  }
  if (!sameType(fitted.type, value.type)) {
    throw new Error(
      `${node}: the gradient of input ${index} is ${formatType(gradient.type)}, ` +
        `the input is ${formatType(value.type)}`,
    );
  }
  return fitted;
}
