import { irVersionFor, type Initializer, type OnnxModel } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import { float32, node } from '../onnx/models.js';

/** What sets one small encoder apart from the other. */
export interface SmallModel {
  readonly seed?: number;
  /** Added to the last bias. */
  readonly shift?: number;
  readonly batch?: number | string;
  readonly channels?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A weight of normally distributed numbers, their size as Glorot's. */
export function weight(name: string, shape: readonly number[], seed: number): Initializer {
  const count = shape.reduce((a, b) => a * b, 1);
  const random = new Random(seed, name.length);
  const scale = 1 / Math.sqrt(shape.slice(1).reduce((a, b) => a * b, 1));
  const values = Float32Array.from({ length: count }, () => scale * random.normal());
  return { name, type: { dtype: 'float32', shape }, data: { kind: 'inline', values } };
}

/** `pixels` `[batch, 3, 16, 16]` -> a convolution, its maximum over the map -> `features` `[batch, channels]`. */
export function smallModel({
  seed = 1,
  shift = 0,
  batch = 'batch',
  channels = 6,
  metadata = {},
}: SmallModel = {}): OnnxModel {
  const bias = Float32Array.from({ length: channels }, (_, i) => 0.1 * i + shift);
  return {
    graphName: 'small',
    opsets: { '': 17 },
    irVersion: irVersionFor(17),
    producer: 'test',
    producerVersion: '1',
    metadata,
    inputs: [float32('pixels', batch, 3, 16, 16)],
    outputs: [float32('features', batch, channels)],
    values: [],
    initializers: [
      weight('w', [channels, 3, 3, 3], seed),
      { name: 'b', type: { dtype: 'float32', shape: [channels] }, data: { kind: 'inline', values: bias } },
    ],
    nodes: [
      node('Conv', ['pixels', 'w', 'b'], ['conv'], {
        kernel_shape: [3, 3],
        pads: [1, 1, 1, 1],
        strides: [2, 2],
      }),
      node('GlobalMaxPool', ['conv'], ['pool']),
      node('Flatten', ['pool'], ['features'], { axis: 1 }),
    ],
  };
}
