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

/**
 * All tensors of a fresh network by name: parameters and query statistics. The key network starts as a copy of
 * the query's, so its parameters are the same tensors; its statistics, of the full width only, are its own.
 */
export function initialWeights(
  { parameters, statistics }: Declarations,
  seed: number,
  keyPrefix: string,
  fullWidth: number,
): Map<string, NamedTensor> {
  const tensors = new Map<string, NamedTensor>();
  for (const [index, parameter] of parameters.entries()) {
    const data = initialValues(parameter, seed, index);
    tensors.set(parameter.name, { dtype: 'float32', shape: parameter.shape, data });
  }
  const add = (name: string, shape: readonly number[], initial: number) =>
    tensors.set(name, {
      dtype: 'float32',
      shape,
      data: new Float32Array(elementCount(shape)).fill(initial),
    });
  for (const { name, shape, initial } of statistics) add(name, shape, initial);
  for (const { name, shape, initial, width } of statistics) {
    if (width === fullWidth) add(keyPrefix + name, shape, initial);
  }
  return tensors;
}
