import { floats, HostGraph, withoutDefaults } from '../../src/engines/hostGraph.js';
import type { InputEntry } from '../../src/programs/manifest.js';
import { type Initializer, type OnnxModel, type OnnxNode } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import type { EmittedPrograms } from '../../src/programs/folder.js';

/** How far a beta may move. */
const reach = 0.05;

/**
 * Moves the betas of each width by at most 0.05 to where no input of a ReLU is close to 0, layer by layer. The
 * gradient of a network jumps where such an input passes 0, and among thousands of units rounding switches some:
 * only away from that can gradients of two implementations be compared closely. Needs programs of the portable
 * target; `values` holds the images (`view1`) and every parameter by name. The head's ReLU has few units and is left alone.
 *
 * Returns the batch's mean for every running mean of the query network, by name.
 */
export async function placeMargins(
  { programs }: EmittedPrograms,
  values: Map<string, TensorData>,
): Promise<Map<string, Float32Array>> {
  const means = new Map<string, Float32Array>();
  for (const { entry, model } of programs.filter(({ entry }) => entry.kind === 'query')) {
    const { model: probe, shifts } = withMargins(model);
    const inputs = new Set(probe.inputs.map(({ name }) => name));
    const graph = await HostGraph.open(withoutDefaults(probe), { provider: 'cpu', threads: 2 });
    const results = await graph.run(
      feeds(
        entry.inputs.filter(({ name }) => inputs.has(name)),
        values,
      ),
    );
    await graph.close();
    for (const [beta, output] of shifts) {
      const shift = results[output]!.data as Float32Array;
      const { data, ...type } = values.get(beta)!;
      values.set(beta, { ...type, data: (data as Float32Array).map((b, i) => b + shift[i]!) });
    }
    for (const { name, of } of entry.outputs) {
      if (!of?.endsWith('.running_mean')) continue;
      const before = values.get(of)!.data as Float32Array;
      const after = results[name]!.data as Float32Array;
      means.set(of, after.map((mean, i) => (mean - 0.9 * before[i]!) / 0.1)); // prettier-ignore
    }
  }
  return means;
}

function feeds(inputs: readonly InputEntry[], values: ReadonlyMap<string, TensorData>) {
  return Object.fromEntries(
    inputs.map(({ name, shape }) => {
      const { data } = values.get(name === 'images' ? 'view1' : name)!;
      return [name, floats(data as Float32Array, shape as number[])];
    }),
  );
}

/**
 * The forward part of a query model that shifts the input of each ReLU behind a batch norm on the way. Outputs are
 * new running means and the shifts `[C, 1]`.
 */
function withMargins(model: OnnxModel): { model: OnnxModel; shifts: Map<string, string> } {
  const producers = new Map(model.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const betas = new Set(model.inputs.map(({ name }) => name).filter((name) => name.endsWith('.beta')));
  const betaOf = (value: string): string | undefined => {
    const node = producers.get(value);
    if (node?.opType === 'BatchNormalization') return node.inputs.find((name) => betas.has(name));
    // The residual: the batch norm of either summand will do.
    return node?.opType === 'Add' ? node.inputs.map(betaOf).find((beta) => beta !== undefined) : undefined;
  };

  const channels = (beta: string) => model.inputs.find(({ name }) => name === beta)!.type.shape[0]!;

  const shifts = new Map<string, string>();
  const nodes = model.nodes.flatMap((node) => {
    const beta = node.opType === 'Relu' ? betaOf(node.inputs[0]!) : undefined;
    if (beta === undefined) return [node];
    const shift = `${node.name}/shift`;
    shifts.set(beta, shift);
    return [...marginNodes(node.name, node.inputs[0]!, shift), { ...node, inputs: [`${node.name}/shifted`] }];
  });
  const outputs = [
    ...model.outputs.filter(({ name }) => name.startsWith('new.') && name.endsWith('.running_mean')),
    ...Array.from(shifts, ([beta, name]) => ({
      name,
      type: { dtype: 'float32', shape: [channels(beta), 1] } as const,
    })),
  ];
  const read = new Set(outputs.map(({ name }) => name));
  const forward = nodes.reverse().filter((node) => {
    if (!node.outputs.some((name) => read.has(name))) return false;
    for (const name of node.inputs) read.add(name);
    return true;
  });
  return {
    model: {
      ...model,
      inputs: model.inputs.filter(({ name }) => read.has(name)),
      outputs,
      nodes: forward.reverse(),
      initializers: [...model.initializers, ...constants].filter(({ name }) => read.has(name)),
    },
    shifts,
  };
}

/**
 * For each channel of a map x `[N, C, H, W]`: sorts the values in [-reach, reach] together with both ends, finds
 * the widest gap and gives the shift that moves its middle to 0.
 */
function marginNodes(scope: string, x: string, shift: string): OnnxNode[] {
  const at = (name: string) => `${scope}/${name}`;
  const node = (opType: string, inputs: string[], outputs: string[], attributes = {}): OnnxNode => ({
    name: at(`margin/${outputs[0]}`),
    opType,
    domain: '',
    inputs,
    outputs,
    attributes,
  });
  return [
    node('Transpose', [x], [at('channels')], { perm: [1, 0, 2, 3] }),
    node('Flatten', [at('channels')], [at('rows')], { axis: 1 }), // [C, M]
    node('Pad', [at('rows'), 'margin/padLow', 'margin/low'], [at('low')]),
    node('Pad', [at('low'), 'margin/padHigh', 'margin/high'], [at('ends')]),
    node('Clip', [at('ends'), 'margin/low', 'margin/high'], [at('near')]), // [C, M + 2]
    node('Shape', [at('near')], [at('count')], { start: 1 }),
    node('TopK', [at('near'), at('count')], [at('sorted'), at('order')], { largest: 0 }),
    node('Slice', [at('sorted'), 'margin/0', 'margin/-1', 'margin/1'], [at('below')]),
    node('Slice', [at('sorted'), 'margin/1', at('count'), 'margin/1'], [at('above')]),
    node('Sub', [at('above'), at('below')], [at('gap')]), // [C, M + 1]
    node('ArgMax', [at('gap')], [at('widest')], { axis: 1 }), // [C, 1]
    node('Add', [at('above'), at('below')], [at('twiceMiddle')]),
    node('GatherElements', [at('twiceMiddle'), at('widest')], [at('found')], { axis: 1 }),
    node('Mul', [at('found'), 'margin/-half'], [shift]),
    node('Unsqueeze', [shift, 'margin/1'], [at('column')]), // [C, 1, 1]
    node('Add', [x, at('column')], [at('shifted')]),
  ];
}

const integers = (name: string, ...values: number[]): Initializer => ({
  name: `margin/${name}`,
  type: { dtype: 'int64', shape: [values.length] },
  data: { kind: 'inline', values: BigInt64Array.from(values, BigInt) },
});
const float = (name: string, value: number): Initializer => ({
  name: `margin/${name}`,
  type: { dtype: 'float32', shape: [] },
  data: { kind: 'inline', values: Float32Array.of(value) },
});
const constants = [
  integers('padLow', 0, 1, 0, 0),
  integers('padHigh', 0, 0, 0, 1),
  integers('0', 0),
  integers('1', 1),
  integers('-1', -1),
  float('low', -reach),
  float('high', reach),
  float('-half', -0.5),
];
