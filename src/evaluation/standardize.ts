import type { Features } from './features.js';
import type { LinearClassifier } from './linearClassifier.js';

/** x' = (x - mean) * scale, by feature, [C] each. */
export interface Standardization {
  readonly mean: Float64Array;
  readonly scale: Float64Array;
}

/**
 * The map to mean 0 and variance 1 / C over these images, so that the squared length of a vector is 1 on average
 * and a learning rate means the same at every width; a feature that never varies becomes 0.
 */
export function standardization({ count, channels, data }: Features): Standardization {
  const mean = new Float64Array(channels);
  const squares = new Float64Array(channels);
  for (let i = 0; i < data.length; i++) mean[i % channels]! += data[i]! / count;
  for (let i = 0; i < data.length; i++) squares[i % channels]! += (data[i]! - mean[i % channels]!) ** 2;
  return { mean, scale: squares.map((sum) => (sum === 0 ? 0 : 1 / Math.sqrt((sum / count) * channels))) };
}

export function standardize({ count, channels, data }: Features, { mean, scale }: Standardization): Features {
  const mapped = data.map((value, i) => (value - mean[i % channels]!) * scale[i % channels]!);
  return { count, channels, data: mapped };
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
