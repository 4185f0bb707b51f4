import onnxProto, { type onnx } from 'onnx-proto';
import { elements } from '../../src/engines/elements.js';
import type { ElementType } from '../../src/engines/engine.js';

const { ModelProto } = onnxProto.onnx;

type Shape = readonly (number | string)[];

interface Model {
  readonly inputs: Readonly<Record<string, Shape>>;
  readonly outputs: Readonly<Record<string, Shape>>;
  /** `[operator, inputs, outputs]` */
  readonly nodes: readonly (readonly [string, readonly string[], readonly string[]])[];
  readonly type?: ElementType;
  readonly initializers?: readonly onnx.ITensorProto[];
  readonly irVersion?: number;
  readonly opset?: number;
  /** Of the operators; default: the standard one. */
  readonly domain?: string;
}

/** A model of values of one type, encoded. */
export function model({
  inputs,
  outputs,
  nodes,
  type = 'float32',
  initializers = [],
  irVersion = 8,
  opset = 17,
  domain = '',
}: Model): Uint8Array {
  const infos = (shapes: Readonly<Record<string, Shape>>) =>
    Object.entries(shapes).map(([name, shape]) => ({
      name,
      type: {
        tensorType: {
          elemType: elements[type].code,
          shape: {
            dim: shape.map((d) => (typeof d === 'string' ? { dimParam: d } : { dimValue: d })),
          },
        },
      },
    }));
  return ModelProto.encode({
    irVersion,
    opsetImport: [{ domain: '', version: opset }, ...(domain === '' ? [] : [{ domain, version: 1 }])],
    graph: {
      name: 'test',
      input: infos(inputs),
      output: infos(outputs),
      initializer: [...initializers],
      node: nodes.map(([opType, input, output]) => ({
        name: output[0]!,
        opType,
        domain,
        input: [...input],
        output: [...output],
      })),
    },
  }).finish();
}

/** y = x * factor + shift, of vectors of any length; `shift` is a scalar and 10 unless fed. */
export const affine = model({
  inputs: { x: ['N'], factor: [], shift: [] },
  outputs: { y: ['N'], product: ['N'] },
  nodes: [
    ['Mul', ['x', 'factor'], ['product']],
    ['Add', ['product', 'shift'], ['y']],
  ],
  initializers: [{ name: 'shift', dataType: 1, dims: [], floatData: [10] }],
});

/** y = x, of a vector of any type. */
export const identity = (type: ElementType) =>
  model({ type, inputs: { x: ['N'] }, outputs: { y: ['N'] }, nodes: [['Identity', ['x'], ['y']]] });

/** y = x + weight, where the weight, 64 elements, is in the file `weights.bin` beside it. */
export const withExternalWeight = model({
  inputs: { x: [64] },
  outputs: { y: [64] },
  nodes: [['Add', ['x', 'weight'], ['y']]],
  initializers: [
    {
      name: 'weight',
      dataType: 1,
      dims: [64],
      dataLocation: 1,
      externalData: [
        { key: 'location', value: 'weights.bin' },
        { key: 'offset', value: '0' },
        { key: 'length', value: '256' },
      ],
    },
  ],
});
