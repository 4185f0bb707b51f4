/**
 * How each of `count` outputs along one axis is made of inputs: output i is the sum of
 * `weights[i * stride + k] * input[first[i] + k]` for k < `taps[i]`.
 */
export interface AxisFilter {
  readonly first: Int32Array;
  readonly taps: Int32Array;
  readonly weights: Float64Array;
  readonly stride: number;
}

/** Taps of an output at most, when `length` inputs become `resized` outputs. */
export function maxTaps(length: number, resized: number): number {
  return Math.ceil(2 * Math.max(1, length / resized));
}

/**
 * Filter of the inputs [start, start + length) for the outputs [from, from + count) of a resize of that
 * interval to `resized` outputs: bilinear, with pixels as areas (half-pixel centres) and the triangle widened
 * by the scale when shrinking, as Pillow's and torchvision's antialiased bilinear.
 * `reverse` puts the outputs in reverse order.
 */
export function axisFilter(
  start: number,
  length: number,
  resized: number,
  { from = 0, count = resized, reverse = false } = {},
): AxisFilter {
  const scale = length / resized;
  const support = Math.max(1, scale);
  const stride = maxTaps(length, resized);
  const first = new Int32Array(count);
  const taps = new Int32Array(count);
  const weights = new Float64Array(count * stride);
  for (let i = 0; i < count; i++) {
    const center = (from + i + 0.5) * scale;
    // Inputs whose centres lie inside the triangle.
    const low = Math.max(0, Math.floor(center - support + 0.5));
    // Where one lies on the edge of the triangle, rounding may find one more than there is room for, of weight 0.
    const high = Math.min(length, low + stride, Math.floor(center + support + 0.5));
    const output = reverse ? count - 1 - i : i;
    const base = output * stride;
    let sum = 0;
    for (let j = low; j < high; j++) {
      const weight = Math.max(0, 1 - Math.abs(j + 0.5 - center) / support);
      weights[base + j - low] = weight;
      sum += weight;
    }
    for (let k = 0; k < high - low; k++) weights[base + k]! /= sum;
    first[output] = start + low;
    taps[output] = high - low;
  }
  return { first, taps, weights, stride };
}
