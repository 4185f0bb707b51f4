import type { Value } from '../../graph/graph.js';
import type { ConcatAttributes } from '../../ops/concat.js';
import type { Lowering } from '../../ops/operator.js';
import type { SplitAttributes } from '../../ops/split.js';

/** Inputs, or outputs, of a node: with the one at the other side they are the 8 buffers that every WebGPU shader may bind. */
const most = 7;

/** Concat of many inputs: of their Concats by sevens. */
export const concat: Lowering<ConcatAttributes> = (b, inputs, attributes) => {
  let parts = inputs;
  while (parts.length > most) parts = inGroups(parts).map((group) => joined(group));
  return [joined(parts)];

  function joined(group: readonly Value[]): Value {
    return group.length === 1 ? group[0]! : b.op('Concat', group, attributes);
  }
};

/** Split into many parts: into at most seven, and these again. */
export const split: Lowering<SplitAttributes> = (b, [x], { axis, sizes }) => {
  const parts = (value: Value, each: readonly number[]): readonly Value[] => {
    if (each.length === 1) return [value];
    if (each.length <= most) return b.node('Split', [value], { axis, sizes: each });
    const groups = inGroups(each);
    const whole = groups.map((group) => group.reduce((sum, size) => sum + size, 0));
    return parts(value, whole).flatMap((part, i) => parts(part, groups[i]!));
  };
  return parts(x!, sizes);
};

/** Groups of at most seven, of about equal length. */
function inGroups<T>(items: readonly T[]): T[][] {
  const groups = Math.ceil(items.length / most);
  return Array.from({ length: groups }, (_, i) =>
    items.slice(Math.ceil((i * items.length) / groups), Math.ceil(((i + 1) * items.length) / groups)),
  );
}
