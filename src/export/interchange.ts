import type { NamedType, OnnxModel, OnnxNode } from '../onnx/model.js';

/** Operators that have a window, whose weights are the input of this index. */
const windowWeights: Readonly<Record<string, number>> = {
  Conv: 1,
  ConvTranspose: 1,
  ConvInteger: 1,
  QLinearConv: 3,
};

/**
 * A model as runtimes other than ONNX Runtime read it best, too: convolutions say their `kernel_shape` (OpenCV up to
 * 4.12 wants it), no node reads an output of the graph (onnx2tf stumbles over that), and there are no types of inner
 * values, which would fix a batch that is symbolic (tract takes them at their word; all infer them).
 */
export function forInterchange(model: OnnxModel): OnnxModel {
  const types = new Map([...model.values, ...model.initializers].map(({ name, type }) => [name, type]));
  const nodes = model.nodes.map((node) => withKernelShape(node, types));
  return { ...model, nodes: withOwnOutputs(nodes, model), values: [] };
}

function withKernelShape(node: OnnxNode, types: ReadonlyMap<string, NamedType['type']>): OnnxNode {
  const index = windowWeights[node.opType];
  if (node.domain !== '' || index === undefined || 'kernel_shape' in node.attributes) return node;
  const kernel = types.get(node.inputs[index]!)!.shape.slice(2) as number[];
  return { ...node, attributes: { ...node.attributes, kernel_shape: kernel } };
}

/** Outputs that a node reads get an Identity of their own; what they were is named after the node that makes it. */
function withOwnOutputs(nodes: readonly OnnxNode[], model: OnnxModel): OnnxNode[] {
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const taken = new Set([
    ...makers.keys(),
    ...[...model.inputs, ...model.initializers].map(({ name }) => name),
  ]);
  const inner = new Map<string, string>();
  for (const { name } of model.outputs) {
    const maker = makers.get(name);
    if (!read.has(name) || !maker) continue;
    let free = maker.name;
    while (taken.has(free)) free += '_';
    taken.add(free);
    inner.set(name, free);
  }
  const renamed = (names: readonly string[]) => names.map((name) => inner.get(name) ?? name);
  return [
    ...nodes.map((node) => ({ ...node, inputs: renamed(node.inputs), outputs: renamed(node.outputs) })),
    ...[...inner].map(([name, input]) => ({
      name: `output/${name}`,
      opType: 'Identity',
      domain: '',
      inputs: [input],
      outputs: [name],
      attributes: {},
    })),
  ];
}
