import { notDifferentiable } from '../../../src/ops/operator.js';
import type { ExpandAttributes } from '../../../src/ops/expand.js';
import type { PadAttributes } from '../../../src/ops/pad.js';
import type { ReshapeAttributes } from '../../../src/ops/reshape.js';
import type { SliceAttributes } from '../../../src/ops/slice.js';
import type { TransposeAttributes } from '../../../src/ops/transpose.js';
import type { GradientCase } from '../../support/checkGradient.js';

/** Operators of one input; each case is a title, a shape and the attributes. */
interface AttributesOf {
  Expand: ExpandAttributes;
  Flatten: object;
  Pad: PadAttributes;
  Reshape: ReshapeAttributes;
  Slice: SliceAttributes;
  Transpose: TransposeAttributes;
}

function cases<K extends keyof AttributesOf>(
  op: K,
  ...list: readonly (readonly [title: string, shape: number[], attributes: AttributesOf[K]])[]
): GradientCase[] {
  return list.map(([title, shape, attributes]) => ({
    title,
    inputs: [{ shape }],
    build: (b, [x]) => [b.node<keyof AttributesOf>(op, [x!], attributes)[0]!],
  }));
}

function concat(title: string, axis: number, ...shapes: number[][]): GradientCase {
  return {
    title,
    inputs: shapes.map((shape) => ({ shape })),
    build: (b, inputs) => [b.op('Concat', inputs, { axis })],
  };
}

function addBlock(title: string, shape: number[], block: number[], starts: number[]): GradientCase {
  return {
    title,
    inputs: [{ shape }, { shape: block }],
    build: (b, inputs) => [b.op('AddBlock', inputs, { starts })],
  };
}

export const layout = {
  AddBlock: [
    addBlock('in the middle', [4, 5], [2, 3], [1, 2]),
    addBlock('one axis of three', [2, 4, 2], [2, 1, 2], [0, 3, 0]),
    addBlock('of the same size', [2, 3], [2, 3], [0, 0]),
  ],
  Concat: [
    concat('axis 0', 0, [2, 3], [1, 3], [4, 3]),
    concat('last axis', -1, [2, 3], [2, 1]),
    concat('middle axis', 1, [2, 1, 4], [2, 3, 4]),
    concat('one input', 0, [2, 3]),
    {
      title: 'a constant between two inputs',
      inputs: [{ shape: [1, 2] }, { shape: [3, 2] }],
      build: (b, [x, y]) => [
        b.op('Concat', [x!, b.op('Expand', [b.scalarLike(2, x!)], { shape: [1, 2] }), y!], { axis: 0 }),
      ],
    },
  ],
  Expand: cases(
    'Expand',
    ['scalar to [2,3]', [], { shape: [2, 3] }],
    ['[3,1] to [2,3,4]', [3, 1], { shape: [2, 3, 4] }],
    ['[2,1,4] to [2,3,4]', [2, 1, 4], { shape: [2, 3, 4] }],
    ['to its own shape', [2, 3], { shape: [2, 3] }],
  ),
  Flatten: cases('Flatten', ['[2,3,4,5]', [2, 3, 4, 5], {}], ['[3]', [3], {}]),
  Gather: notDifferentiable,
  Pad: cases(
    'Pad',
    ['before and after', [2, 3], { pads: [1, 2, 0, 3] }],
    ['one axis of three', [2, 3, 2], { pads: [0, 1, 0, 0, 0, 0] }],
    ['nothing', [2, 3], { pads: [0, 0, 0, 0] }],
  ),
  Reshape: cases(
    'Reshape',
    ['[2,3,4] to [4,6]', [2, 3, 4], { shape: [4, 6] }],
    ['[1,1] to a scalar', [1, 1], { shape: [] }],
  ),
  Resize: notDifferentiable,
  ScatterElements: notDifferentiable,
  Shape: notDifferentiable,
  Slice: cases(
    'Slice',
    ['one axis', [5, 3], { starts: [1], ends: [4], axes: [0] }],
    ['two axes, one named from the end', [5, 3, 4], { starts: [2, 0], ends: [5, 2], axes: [0, -1] }],
    ['end beyond the size', [3, 4], { starts: [2], ends: [100], axes: [1] }],
    ['a leading block', [4, 4], { starts: [0, 0], ends: [2, 3], axes: [0, 1] }],
  ),
  Split: [
    {
      title: 'in three along the last axis',
      inputs: [{ shape: [2, 6] }],
      build: (b, [x]) => b.node('Split', [x!], { axis: -1, sizes: [1, 3, 2] }),
    },
    {
      title: 'one part unused',
      inputs: [{ shape: [5, 2] }],
      build: (b, [x]) => [b.node('Split', [x!], { axis: 0, sizes: [2, 1, 2] })[2]!],
    },
  ],
  Transpose: cases(
    'Transpose',
    ['[1,0]', [2, 3], { perm: [1, 0] }],
    ['[2,0,1], not its own inverse', [2, 3, 4], { perm: [2, 0, 1] }],
    ['[1,2,3,0]', [2, 1, 3, 4], { perm: [1, 2, 3, 0] }],
  ),
} satisfies Record<string, readonly GradientCase[] | typeof notDifferentiable>;
