import { encodeModel, type NamedType, type OnnxNode } from '../onnx/model.js';
import type { ElementType } from './engine.js';

/** y = x, of a vector. */
export function identityModel(dtype: ElementType): Uint8Array {
  return copyModel(
    [{ name: 'x', type: { dtype, shape: ['n'] } }],
    [{ name: 'y', opType: 'Identity', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
  );
}

/** A small model, of opset 17, that copies: its output is the vector `y`, of the type of its first input. */
export function copyModel(inputs: readonly NamedType[], nodes: readonly OnnxNode[]): Uint8Array {
  const [{ type }] = inputs as [NamedType];
  return encodeModel({
    graphName: 'copy',
    opsets: { '': 17 },
    irVersion: 8,
    producer: 'slimclr',
    producerVersion: '',
    metadata: {},
    inputs,
    outputs: [{ name: 'y', type: { ...type, shape: ['y elements'] } }],
    values: [],
    initializers: [],
    nodes,
  });
}
