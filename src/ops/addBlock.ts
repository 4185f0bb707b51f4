import { sameShape } from '../graph/graph.js';
import type { CompositeOperator } from './operator.js';
import { fixed, required, sameTypes } from './shapes.js';

/** Where the block starts, an index for each axis. */
export interface AddBlockAttributes {
  readonly starts: readonly number[];
}

/** A tensor plus a smaller one at a place in it: (X, block) -> X, with the block added at `starts`. */
export const AddBlock: CompositeOperator<AddBlockAttributes> = {
  domain: 'slimclr',
  infer([input, added], { starts }) {
    const x = required(input, 'input');
    const block = required(added, 'block');
    sameTypes(x, block);
    const rank = x.shape.length;
    const fits =
      block.shape.length === rank &&
      starts.length === rank &&
      starts.every((start, i) => {
        const [size, part] = [x.shape[i]!, block.shape[i]!].map((d) => fixed(d, 'a dimension of AddBlock'));
        return start >= 0 && start + part! <= size!;
      });
    if (!fits) {
      throw new Error(
        `a block [${block.shape.join(',')}] at [${starts.join(',')}] does not lie in [${x.shape.join(',')}]`,
      );
    }
    return [x];
  },
  gradient({ b, inputs: [x, block], gradients: [dy], attributes: { starts } }) {
    const axes = starts.map((_, i) => i).filter((i) => x!.dims[i] !== block!.dims[i]);
    if (axes.length === 0) return [dy!, dy!];
    const ends = axes.map((i) => starts[i]! + block!.dims[i]!);
    return [dy!, b.op('Slice', [dy!], { starts: axes.map((i) => starts[i]!), ends, axes })];
  },
  lower(b, [x, block], { starts }) {
    if (sameShape(x!.shape, block!.shape)) return [b.op('Add', [x!, block!])];
    const after = starts.map((start, i) => x!.dims[i]! - start - block!.dims[i]!);
    return [b.op('Add', [x!, b.op('Pad', [block!], { pads: [...starts, ...after] })])];
  },
};
