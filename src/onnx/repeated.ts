import type { NamedType, OnnxModel, OnnxNode } from './model.js';

/** Name of an input or output of the i-th repetition; the first keeps its own. */
export function repetition(name: string, i: number): string {
  return i === 0 ? name : `${name}#${i}`;
}

/**
 * A model that does in one run what `model` does in several: what depends on an input of symbolic shape is there `times`
 * times, one repetition after the other, each with dimensions of its own. The other inputs are there once.
 */
export function repeated(model: OnnxModel, times: number): OnnxModel {
  const symbolic = model.inputs.filter(({ type }) => type.shape.some((d) => typeof d === 'string'));
  const varying = new Set(symbolic.map(({ name }) => name));
  const [once, each]: [OnnxNode[], OnnxNode[]] = [[], []];
  for (const node of model.nodes) {
    const varies = node.inputs.some((input) => varying.has(input));
    (varies ? each : once).push(node);
    if (varies) for (const output of node.outputs) varying.add(output);
  }
  const named = (name: string, i: number) => (varying.has(name) ? repetition(name, i) : name);
  const all = <T>(make: (i: number) => readonly T[]): T[] =>
    Array.from({ length: times }, (_, i) => make(i)).flat();
  const typed = (list: readonly NamedType[]): NamedType[] => [
    ...list.filter(({ name }) => !varying.has(name)),
    ...all((i) =>
      list
        .filter(({ name }) => varying.has(name))
        .map(({ name, type: { dtype, shape } }) => ({
          name: repetition(name, i),
          type: { dtype, shape: shape.map((d) => (typeof d === 'string' ? repetition(d, i) : d)) },
        })),
    ),
  ];
  return {
    ...model,
    inputs: typed(model.inputs),
    outputs: typed(model.outputs),
    values: typed(model.values),
    nodes: [
      ...once,
      ...all((i) =>
        each.map((node) => ({
          ...node,
          name: repetition(node.name, i),
          inputs: node.inputs.map((input) => named(input, i)),
          outputs: node.outputs.map((output) => named(output, i)),
        })),
      ),
    ],
  };
}
