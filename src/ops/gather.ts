import { notDifferentiable, type StandardOperator } from './operator.js';
import { normalAxis, required } from './shapes.js';

export interface GatherAttributes {
  readonly axis: number;
}

/** ONNX Gather(data, indices). Used on data that no gradient flows into. */
export const Gather: StandardOperator<GatherAttributes> = {
  domain: '',
  infer([data, indices], attributes) {
    const x = required(data, 'data');
    const i = required(indices, 'indices');
    if (i.dtype !== 'int64') throw new Error(`indices are ${i.dtype}, int64 is accepted`);
    const axis = normalAxis(attributes.axis, x.shape.length);
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...i.shape, ...x.shape.slice(axis + 1)] }];
  },
  gradient: notDifferentiable,
  flops: () => 0,
  emit: ({ axis }) => ({ attributes: { axis } }),
};
