import type { Declarations, Parameter } from '../nn/parameter.js';
import { elementCount, type TypedArray } from '../onnx/model.js';
import { Random } from '../random.js';

/** First word of the random streams that weights are drawn from. */
const weightStream = 0x77656967;

/** Values of a parameter at full width; a function of the seed and its place among the parameters alone. */
export function initialValues(parameter: Parameter, seed: number, index: number): Float32Array {
  const values = new Float32Array(elementCount(parameter.shape));
  const { initializer } = parameter;
  if (initializer.kind === 'constant') return values.fill(initializer.value);
  const random = new Random(weightStream, seed, index);
  if (initializer.kind === 'uniform') {
    const { bound } = initializer;
    for (let i = 0; i < values.length; i++) values[i] = random.uniform(-bound, bound);
    return values;
  }
  const [outputs = 1, , ...window] = parameter.shape;
  const fanOut = outputs * elementCount(window);
  const std = initializer.kind === 'normal' ? initializer.std : Math.sqrt(2 / fanOut);
  for (let i = 0; i < values.length; i++) values[i] = std * random.normal();
  return values;
}

export interface NamedTensor {
  readonly dtype: 'float32';
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/** All tensors of a fresh network by name: parameters and statistics. */
export function initialWeights(
  { parameters, statistics }: Declarations,
  seed: number,
): Map<string, NamedTensor> {
  const tensors = new Map<string, NamedTensor>();
  for (const [index, parameter] of parameters.entries()) {
    const data = initialValues(parameter, seed, index);
    tensors.set(parameter.name, { dtype: 'float32', shape: parameter.shape, data });
  }
  for (const { name, shape, initial } of statistics) {
    const data = new Float32Array(elementCount(shape)).fill(initial);
    tensors.set(name, { dtype: 'float32', shape, data });
  }
  return tensors;
}
