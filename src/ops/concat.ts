import { sameShape } from '../graph/graph.js';
import type { StandardOperator } from './operator.js';
import { fixed, normalAxis, required, sameTypes } from './shapes.js';

export interface ConcatAttributes {
  readonly axis: number;
}

/** ONNX Concat of any number of inputs. */
export const Concat: StandardOperator<ConcatAttributes> = {
  domain: '',
  infer(inputs, attributes) {
    const first = required(inputs[0], 'first input');
    const axis = normalAxis(attributes.axis, first.shape.length);
    let size = 0;
    for (const input of inputs) {
      const type = required(input, 'input');
      sameTypes(first, type);
      if (!sameShape(without(type.shape, axis), without(first.shape, axis))) {
        throw new Error(
          `[${first.shape.join(',')}] and [${type.shape.join(',')}] differ outside axis ${axis}`,
        );
      }
      size += fixed(type.shape[axis], 'the concatenated dimension');
    }
    return [{ dtype: first.dtype, shape: first.shape.map((d, i) => (i === axis ? size : d)) }];
  },
  gradient({ b, inputs, gradients: [dy], needs, attributes }) {
    const axis = normalAxis(attributes.axis, dy!.shape.length);
    let start = 0;
    return inputs.map((input, i) => {
      const end = start + input!.dims[axis]!;
      const gradient = needs[i] ? b.op('Slice', [dy!], { starts: [start], ends: [end], axes: [axis] }) : null;
      start = end;
      return gradient;
    });
  },
  flops: () => 0,
  emit: ({ axis }) => ({ attributes: { axis } }),
};

function without<T>(items: readonly T[], index: number): T[] {
  return items.filter((_, i) => i !== index);
}
