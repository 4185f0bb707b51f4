/** Smallest values of an activation and largest, as far as they were seen. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Types of quantised activations. */
export const activationTypes = ['uint8', 'int8'] as const;
export type ActivationType = (typeof activationTypes)[number];

/** real = scale (quantised - zeroPoint); the scale is a float32 value. */
export interface AffineScale {
  readonly scale: number;
  readonly zeroPoint: number;
}

const limits = { uint8: [0, 255], int8: [-128, 127] } as const;

/** Largest magnitude of a quantised weight: symmetric, so that -128 is left out. */
const weightLimit = 127;

/**
 * Largest magnitude of a quantised bias. The sum of products that it is added to stays below 2^30 for up to 33,000
 * terms, so that the accumulator, int32, holds both.
 */
const biasLimit = 2 ** 30;

/** Far above the smallest float32, so that the product of two scales is a normal one. */
const smallestScale = 1e-18;

/**
 * Asymmetric over the range, which is made to contain 0: padding is 0 exactly. A range that begins at 0, that of a Relu,
 * has the type's smallest value as its zero point, so that quantising is the Relu. Of a range that is 0 only: scale 1.
 */
export function activationScale({ min, max }: Range, type: ActivationType): AffineScale {
  const [lowest, highest] = limits[type];
  const [low, high] = [Math.min(0, min), Math.max(0, max)];
  if (low === high) return { scale: 1, zeroPoint: lowest };
  const scale = Math.fround(Math.max((high - low) / (highest - lowest), smallestScale));
  return { scale, zeroPoint: lowest + Math.round(Math.min(-low / scale, highest - lowest)) };
}

/** A weight whose output channels are along an axis, and its bias, quantised: scales `[K]`, zero points 0. */
export interface QuantizedLayer {
  readonly weight: Int8Array;
  readonly bias: Int32Array | null;
  readonly weightScales: Float32Array;
  /** `inputScale` times the weight's, which the integer products are in. */
  readonly biasScales: Float32Array;
}

/**
 * Quantises a layer's weight symmetrically by output channel, and its bias to the scale of the products. Where the bias
 * is so large beside the weights that it would not fit, and in a channel without weights, the bias decides on the scale.
 * Null where a scale is beyond float32.
 * `channelOf`: the output channel of an element of the weight.
 */
export function quantizeLayer(
  weight: Float32Array,
  bias: Float32Array | null,
  channels: number,
  channelOf: (element: number) => number,
  inputScale: number,
): QuantizedLayer | null {
  const largest = new Float64Array(channels);
  for (const [i, value] of weight.entries()) {
    const channel = channelOf(i);
    largest[channel] = Math.max(largest[channel]!, Math.abs(value));
  }
  const weightScales = Float32Array.from(largest, (size, channel) => {
    const forBias = Math.abs(bias?.[channel] ?? 0) / (inputScale * biasLimit);
    return Math.max(size / weightLimit, forBias, smallestScale);
  });
  const biasScales = weightScales.map((scale) => scale * inputScale);
  if (![...weightScales, ...biasScales].every(Number.isFinite)) return null;
  return {
    weight: Int8Array.from(weight, (value, i) => {
      const quantised = toEven(value / weightScales[channelOf(i)]!);
      return Math.max(-weightLimit, Math.min(weightLimit, quantised));
    }),
    bias: bias && Int32Array.from(bias, (value, channel) => toEven(value / biasScales[channel]!)),
    weightScales,
    biasScales,
  };
}

/** Nearest integer, ties to even, as QuantizeLinear rounds. */
function toEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
