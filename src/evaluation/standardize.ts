import type { Features } from './features.js';
import { requireFiniteRows } from './finite.js';
import type { LinearClassifier } from './linearClassifier.js';

/** x' = (x - mean) * scale, by feature, [C] each. */
export interface Standardization {
  readonly mean: Float64Array;
  readonly scale: Float64Array;
}

/**
 * A feature varies when its standard deviation is more than this of its size, the root of its mean square. It is a
 * float32 sum of some hundred products, the last convolution's and the pooling's, each rounded to 2^-24 of itself: less
 * than 256 such roundings is what a constant varies by from image to image and from one runtime to the next, and
 * divided by its deviation that would become a feature like any other.
 */
const leastVariation = 2 ** -16;

/**
 * The map to mean 0 and variance 1 / C over these images, so that the squared length of a vector is 1 on average
 * and a learning rate means the same at every width; a feature that varies by its rounding at most becomes 0. Throws a
 * SlimclrError for features that are not finite.
 */
export function standardization({ count, channels, data, origin }: Features): Standardization {
  requireFiniteRows(data, channels, 'features', origin);
  const mean = new Float64Array(channels);
  const squares = new Float64Array(channels);
  for (let i = 0; i < data.length; i++) mean[i % channels]! += data[i]! / count;
  for (let i = 0; i < data.length; i++) squares[i % channels]! += (data[i]! - mean[i % channels]!) ** 2;
  const scale = squares.map((sum, c) => {
    const variance = sum / count;
    const size = mean[c]! ** 2 + variance;
    return variance <= leastVariation ** 2 * size ? 0 : 1 / Math.sqrt(variance * channels);
  });
  return { mean, scale };
}

export function standardize(features: Features, { mean, scale }: Standardization): Features {
  const { channels, data } = features;
  const mapped = data.map((value, i) => (value - mean[i % channels]!) * scale[i % channels]!);
  return { ...features, data: mapped };
}

/** The classifier of raw features that scores as `classifier` does of standardised ones. */
export function withoutStandardization(
  classifier: LinearClassifier,
  { mean, scale }: Standardization,
): LinearClassifier {
  const { classes, channels } = classifier;
  const weight = classifier.weight.map((value, i) => value * scale[i % channels]!);
  const bias = new Float32Array(classes);
  for (let row = 0; row < classes; row++) {
    let shift = 0;
    for (let c = 0; c < channels; c++) shift += weight[row * channels + c]! * mean[c]!;
    bias[row] = classifier.bias[row]! - shift;
  }
  return { ...classifier, weight, bias };
}
