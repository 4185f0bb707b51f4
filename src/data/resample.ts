import type { Rectangle } from './augmentation.js';
import type { RawImage } from './imageStore.js';

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
  const stride = Math.ceil(2 * support);
  const first = new Int32Array(count);
  const taps = new Int32Array(count);
  const weights = new Float64Array(count * stride);
  for (let i = 0; i < count; i++) {
    const center = (from + i + 0.5) * scale;
    // Inputs whose centres lie inside the triangle.
    const low = Math.max(0, Math.floor(center - support + 0.5));
    const high = Math.min(length, Math.floor(center + support + 0.5));
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

/** Resizes parts of images into planes, keeping its scratch memory. */
export class Resampler {
  #rows = new Float32Array(0);

  /**
   * @param columns filter of the image's x axis, over inputs of `region`
   * @param rows filter of the image's y axis, over inputs of `region`
   * @param region the part of the image that the filters read
   * @param planes [3, rows, columns], values 0 to 255
   */
  resample(
    image: RawImage,
    region: Rectangle,
    columns: AxisFilter,
    rows: AxisFilter,
    planes: Float32Array,
  ): void {
    const width = columns.first.length;
    const height = rows.first.length;
    const needed = 3 * region.height * width;
    if (this.#rows.length < needed) this.#rows = new Float32Array(needed);
    filterColumns(image, region, columns, this.#rows);
    for (let channel = 0; channel < 3; channel++) {
      filterRows(
        this.#rows.subarray(channel * region.height * width),
        region.y,
        width,
        rows,
        planes.subarray(channel * height * width, (channel + 1) * height * width),
      );
    }
  }
}

/** [H, W, 3] bytes to [3, region.height, columns]. */
function filterColumns(
  { data, width: imageWidth }: RawImage,
  region: Rectangle,
  { first, taps, weights, stride }: AxisFilter,
  out: Float32Array,
): void {
  const width = first.length;
  const plane = region.height * width;
  const rowStep = imageWidth * 3;
  for (let x = 0; x < width; x++) {
    const base = x * stride;
    let left = (region.y * imageWidth + first[x]!) * 3;
    if (taps[x]! <= 2) {
      // Enlarging: two neighbours, or one at the border. This loop dominates small images.
      const leftWeight = weights[base]!;
      const rightWeight = weights[base + 1]!;
      let right = left + 3 * (taps[x]! - 1);
      for (let target = x; target < plane; target += width, left += rowStep, right += rowStep) {
        out[target] = leftWeight * data[left]! + rightWeight * data[right]!;
        out[target + plane] = leftWeight * data[left + 1]! + rightWeight * data[right + 1]!;
        out[target + 2 * plane] = leftWeight * data[left + 2]! + rightWeight * data[right + 2]!;
      }
      continue;
    }
    const end = base + taps[x]!;
    for (let target = x; target < plane; target += width, left += rowStep) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let k = base, source = left; k < end; k++, source += 3) {
        const weight = weights[k]!;
        red += weight * data[source]!;
        green += weight * data[source + 1]!;
        blue += weight * data[source + 2]!;
      }
      out[target] = red;
      out[target + plane] = green;
      out[target + 2 * plane] = blue;
    }
  }
}

/** [region.height, columns] to [rows, columns], two taps at a time. */
function filterRows(
  source: Float32Array,
  firstRow: number,
  width: number,
  { first, taps, weights, stride }: AxisFilter,
  out: Float32Array,
): void {
  for (let y = 0; y < first.length; y++) {
    const start = y * width;
    const count = taps[y]!;
    for (let k = 0; k < count; k += 2) {
      const upperWeight = weights[y * stride + k]!;
      const lowerWeight = k + 1 < count ? weights[y * stride + k + 1]! : 0;
      let upper = (first[y]! + k - firstRow) * width;
      let lower = k + 1 < count ? upper + width : upper;
      if (k === 0) {
        for (let target = start; target < start + width; target++) {
          out[target] = upperWeight * source[upper++]! + lowerWeight * source[lower++]!;
        }
      } else {
        for (let target = start; target < start + width; target++) {
          out[target]! += upperWeight * source[upper++]! + lowerWeight * source[lower++]!;
        }
      }
    }
  }
}
