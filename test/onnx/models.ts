import { irVersionFor, type NamedType, type OnnxModel, type OnnxNode } from '../../src/onnx/model.js';

export function float32(name: string, ...shape: (number | string)[]): NamedType {
  return { name, type: { dtype: 'float32', shape } };
}

/** A node of the standard domain, named after its first output. */
export function node(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: OnnxNode['attributes'] = {},
): OnnxNode {
  return { name: outputs[0]!, opType, domain: '', inputs, outputs, attributes };
}

/** y = x * w + 1 with w = [2, 3, 4], an overridable initializer. */
export const affineModel: OnnxModel = {
  graphName: 'affine',
  opsets: { '': 17 },
  irVersion: irVersionFor(17),
  producer: 'slimclr',
  producerVersion: '0.1.0',
  metadata: {},
  inputs: [float32('x', 3), float32('w', 3)],
  outputs: [float32('y', 3)],
  values: [float32('xw', 3)],
  initializers: [
    {
      name: 'w',
      type: { dtype: 'float32', shape: [3] },
      data: { kind: 'inline', values: Float32Array.of(2, 3, 4) },
    },
    {
      name: 'one',
      type: { dtype: 'float32', shape: [] },
      data: { kind: 'inline', values: Float32Array.of(1) },
    },
  ],
  nodes: [node('Mul', ['x', 'w'], ['xw']), node('Add', ['xw', 'one'], ['y'])],
};
