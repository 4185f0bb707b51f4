import type { OnnxModel } from './model.js';

/** The model with some of its values under other names, which nothing in it may have yet. */
export function renameValues(model: OnnxModel, names: Readonly<Record<string, string>>): OnnxModel {
  const taken = new Set([
    ...[...model.inputs, ...model.initializers].map(({ name }) => name),
    ...model.nodes.flatMap(({ outputs }) => outputs),
  ]);
  const clash = Object.values(names).find((name) => taken.has(name));
  if (clash !== undefined) throw new Error(`the model has a value ${clash} already`);
  const renamed = (name: string) => (Object.hasOwn(names, name) ? names[name]! : name);
  const all = <T extends { readonly name: string }>(values: readonly T[]): T[] =>
    values.map((value) => ({ ...value, name: renamed(value.name) }));
  return {
    ...model,
    inputs: all(model.inputs),
    outputs: all(model.outputs),
    values: all(model.values),
    initializers: all(model.initializers),
    nodes: model.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(renamed),
      outputs: node.outputs.map(renamed),
    })),
  };
}
