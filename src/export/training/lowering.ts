import type { Graph, Node, Value } from '../../graph/graph.js';
import { sameShape } from '../../graph/graph.js';
import { rewrite, type Copy } from '../../graph/rewrite.js';
import type { OnnxModel } from '../../onnx/model.js';
import type { ConvWeightGradAttributes } from '../../ops/convWeightGrad.js';
import type { MaxPoolAttributes } from '../../ops/maxPool.js';
import { lower } from '../../targets/lower.js';
import { portable } from '../../targets/portable.js';
import type { Target } from '../../targets/target.js';

/** Operators of training-enabled builds of ONNX Runtime. */
const trainingDomain = 'com.microsoft';

/** What on-device training runs: gradients by kernels that take any batch. Else as `portable`. */
export const onDevice: Target = {
  name: 'on-device',
  opset: portable.opset,
  optimization: 'all',
  rewrite: (graph) => lower(withGradientKernels(graph), portable),
};

function withGradientKernels(graph: Graph): Graph {
  const convolutions = new Convolutions(graph);
  const values = (copy: Copy, ...inputs: (Value | null | undefined)[]) =>
    inputs.map((input) => copy.of(input!));
  /** Adds a raw node with the output types of the node that it stands for. */
  const raw = (copy: Copy, node: Node, domain: string, inputs: readonly Value[], attributes: object) => {
    const types = node.outputs.map(({ type }) => type);
    return copy.graph.scope(
      node.name,
      () => copy.graph.add(node.op, domain, inputs, types, attributes).outputs,
    );
  };
  return rewrite(graph, {
    replace(node, copy) {
      switch (node.op) {
        case 'ReluGrad':
          return raw(copy, node, trainingDomain, values(copy, ...node.inputs), {});
        case 'SoftmaxCrossEntropyLossGrad':
          return raw(copy, node, trainingDomain, values(copy, ...node.inputs), { reduction: 'mean' });
        case 'MaxPoolGrad': {
          const { kernelShape: kernel_shape, strides, pads } = node.attributes as MaxPoolAttributes;
          const [dy, , , indices] = node.inputs;
          return raw(copy, node, '', values(copy, dy, indices), { kernel_shape, strides, pads });
        }
        case 'ConvWeightGrad':
        case 'ConvInputGrad':
          return convolutions.gradient(node, copy);
        default:
          return null;
      }
    },
  });
}

/** The two gradients of a convolution as one ConvGrad: (dY, X, W) -> dX, dW. */
class Convolutions {
  readonly #weightGradients = new Map<Value, Node>();
  readonly #inputGradients = new Map<Value, Node>();
  readonly #outputs = new Map<Node, readonly Value[]>();

  constructor(private readonly graph: Graph) {
    for (const node of graph.nodes) {
      if (node.op === 'ConvWeightGrad') this.#weightGradients.set(node.inputs[1]!, node);
      if (node.op === 'ConvInputGrad') this.#inputGradients.set(node.inputs[0]!, node);
    }
  }

  gradient(node: Node, copy: Copy): readonly Value[] {
    const dy = node.op === 'ConvWeightGrad' ? node.inputs[1]! : node.inputs[0]!;
    const toWeight = this.#weightGradients.get(dy);
    if (!toWeight)
      throw new Error(`${node.name}: the gradient of the input is wanted, that of the weight not`);
    let outputs = this.#outputs.get(toWeight);
    if (!outputs) {
      const toInput = this.#inputGradients.get(dy);
      const [x] = toWeight.inputs as [Value];
      const [dw] = toWeight.outputs as [Value];
      const w = toInput?.inputs[1] ?? this.#weight(x, dw);
      const {
        strides,
        pads,
        dilations = [1, 1],
        group = 1,
      } = toWeight.attributes as ConvWeightGradAttributes;
      const attributes = { kernel_shape: dw.dims.slice(2), strides, pads, dilations, group };
      outputs = copy.graph.scope(
        node.name,
        () =>
          copy.graph.add(
            'ConvGrad',
            trainingDomain,
            [dy, x, w].map((value) => copy.of(value)),
            [x.type, dw.type],
            attributes,
          ).outputs,
      );
      this.#outputs.set(toWeight, outputs);
    }
    return [outputs[node === toWeight ? 1 : 0]!];
  }

  /** The weight that a convolution of x has; without dX the kernel reads its shape alone. */
  #weight(x: Value, dw: Value): Value {
    const conv = this.graph.nodes.find(
      ({ op, inputs }) => op === 'Conv' && inputs[0] === x && sameShape(inputs[1]!.shape, dw.shape),
    );
    if (!conv) throw new Error(`${dw.name}: no convolution has a weight of this shape`);
    return conv.inputs[1]!;
  }
}

/** Outputs of ConvGrad that nobody reads are not computed where they have no name. */
export function withoutUnread(model: OnnxModel): OnnxModel {
  const read = new Set([
    ...model.nodes.flatMap(({ inputs }) => inputs),
    ...model.outputs.map(({ name }) => name),
  ]);
  const values = new Set(model.values.map(({ name }) => name));
  const nodes = model.nodes.map((node) => {
    if (node.opType !== 'ConvGrad') return node;
    const outputs = node.outputs.map((name) => (read.has(name) ? name : ''));
    for (const name of node.outputs) if (!read.has(name)) values.delete(name);
    return { ...node, outputs };
  });
  return { ...model, nodes, values: model.values.filter(({ name }) => values.has(name)) };
}
