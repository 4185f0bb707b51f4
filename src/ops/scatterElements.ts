import { sameShape } from '../graph/graph.js';
import { notDifferentiable, type NoAttributes, type StandardOperator } from './operator.js';
import { required, sameTypes } from './shapes.js';

/** ONNX ScatterElements(data, indices, updates) along axis 0 with `reduction="add"` (opset 16). */
export const ScatterElements: StandardOperator<NoAttributes> = {
  domain: '',
  infer([data, indices, updates]) {
    const x = required(data, 'data');
    const i = required(indices, 'indices');
    const u = required(updates, 'updates');
    sameTypes(x, u);
    if (i.dtype !== 'int64' || !sameShape(i.shape, u.shape)) {
      throw new Error(
        `indices ${i.dtype}[${i.shape.join(',')}] do not address updates [${u.shape.join(',')}]`,
      );
    }
    return [x];
  },
  gradient: notDifferentiable,
  emit: () => ({ attributes: { axis: 0, reduction: 'add' } }),
};
