import { sameShape, type Node, type Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { ConvAttributes } from '../../ops/conv.js';
import { ConvInputGrad, type ConvInputGradAttributes } from '../../ops/convInputGrad.js';
import { ConvWeightGrad, type ConvWeightGradAttributes } from '../../ops/convWeightGrad.js';
import type { Lowering } from '../../ops/operator.js';
import { training } from './operators.js';

/**
 * ConvGrad computes both gradients of a convolution. The two composite operators that ask for them become one node:
 * whichever is lowered first adds it, of the forward convolution that has the tensor this one does not read, and the
 * other one finds it. Where nobody asks for one of them its output stays unread, and is not computed.
 */
export const convInputGrad: Lowering<ConvInputGradAttributes> = (b, inputs, attributes, types) => {
  const [dy, w] = inputs as [Value, Value];
  const sameMap = (x: Value) => sameShape(x.shape, types[0]!.shape);
  const known = gradientNode(b, attributes, ([y, x, weight]) => y === dy && weight === w && sameMap(x!));
  if (known) return [known.outputs[0]!];
  const x = forward(b, attributes, dy, (conv) => conv.inputs[1] === w && sameMap(conv.inputs[0]!))?.inputs[0];
  if (!x || !fits(attributes)) return ConvInputGrad.lower(b, inputs, attributes, types);
  return [convGrad(b, [dy, x, w], attributes)[0]!];
};

export const convWeightGrad: Lowering<ConvWeightGradAttributes> = (b, inputs, attributes, types) => {
  const [x, dy] = inputs as [Value, Value];
  const sameKernel = (w: Value) => sameShape(w.shape, types[0]!.shape);
  const known = gradientNode(b, attributes, ([y, input, w]) => y === dy && input === x && sameKernel(w!));
  if (known) return [known.outputs[1]!];
  const w = forward(b, attributes, dy, (conv) => conv.inputs[0] === x && sameKernel(conv.inputs[1]!))
    ?.inputs[1];
  if (!w || !fits(attributes)) return ConvWeightGrad.lower(b, inputs, attributes, types);
  return [convGrad(b, [dy, x, w], attributes)[1]!];
};

function convGrad(b: Builder, inputs: readonly Value[], attributes: ConvAttributes): readonly Value[] {
  const { strides, pads, dilations = [1, 1], group = 1 } = attributes;
  const kernel_shape = inputs[2]!.dims.slice(2);
  return training(b, 'ConvGrad', inputs, { kernel_shape, strides, pads, dilations, group });
}

/** cuDNN pads both sides alike. */
function fits({ pads }: ConvAttributes): boolean {
  return pads[0] === pads[2] && pads[1] === pads[3];
}

/** A convolution of the graph with a result like `dy`. */
function forward(b: Builder, attributes: ConvAttributes, dy: Value, is: (conv: Node) => boolean) {
  const key = keyOf(attributes);
  return b.graph.nodes.find(
    (node) =>
      node.op === 'Conv' &&
      node.domain === '' &&
      is(node) &&
      keyOf(node.attributes as ConvAttributes) === key &&
      sameShape(node.outputs[0]!.shape, dy.shape),
  );
}

/** A ConvGrad that is there already. */
function gradientNode(b: Builder, attributes: ConvAttributes, is: (inputs: Node['inputs']) => boolean) {
  const key = keyOf(attributes);
  return b.graph.nodes.find(
    (node) => node.op === 'ConvGrad' && is(node.inputs) && keyOf(node.attributes as ConvAttributes) === key,
  );
}

function keyOf({ strides, pads, dilations = [1, 1], group = 1 }: ConvAttributes): string {
  return [...strides, ...pads, ...dilations, group].join();
}
