import type { OnnxNode } from '../../onnx/model.js';
import { copyModel } from '../copyModel.js';

/*
 * Small graphs that copy parts of memories on the device: the API copies whole tensors only.
 */

/** y = x from `start` to `end`, vectors of float32. */
export function partModel(): Uint8Array {
  return model(['x'], ['start', 'end'], [slice('y', 'x', 'start', 'end')]);
}

/** y = x with `values` in the place of the elements from `start` to `end`, of which some are before and some after. */
export function patchModel(before: boolean, after: boolean): Uint8Array {
  const parts = [...(before ? ['head'] : []), 'values', ...(after ? ['tail'] : [])];
  const nodes = [
    ...(before ? [slice('head', 'x', 'zero', 'start')] : []),
    ...(after ? [slice('tail', 'x', 'end', 'size')] : []),
    { name: 'y', opType: 'Concat', domain: '', inputs: parts, outputs: ['y'], attributes: { axis: 0 } },
  ];
  const numbers = [...(before ? ['zero', 'start'] : []), ...(after ? ['end', 'size'] : [])];
  return model(['x', 'values'], numbers, nodes);
}

function slice(output: string, ...inputs: readonly string[]): OnnxNode {
  return { name: output, opType: 'Slice', domain: '', inputs, outputs: [output], attributes: {} };
}

function model(
  vectors: readonly string[],
  numbers: readonly string[],
  nodes: readonly OnnxNode[],
): Uint8Array {
  const vector = (name: string) =>
    ({ name, type: { dtype: 'float32', shape: [`${name} elements`] } }) as const;
  const number = (name: string) => ({ name, type: { dtype: 'int64', shape: [1] } }) as const;
  return copyModel([...vectors.map(vector), ...numbers.map(number)], nodes);
}
