import type { Rectangle } from './augmentation.js';
import { gaussianKernel } from './gaussianKernel.js';
import type { RawImage } from './rawImage.js';
import type { Renderer } from './renderer.js';
import { pairBytes } from './kernels/blurKernel.js';
import { instantiateImageKernels } from './kernels/imageKernels.js';
import { maxTaps, type AxisFilter } from './axisFilter.js';

const pageBytes = 65_536;
/** Taken by the kernels beyond the end of what they are asked to read or write, at most. */
const overrun = 64;

/**
 * Images [3, S, S] of values 0 to 255 in the memory of the WebAssembly kernels: resampled from a decoded image,
 * changed in place, read out normalised. Values are float32 and not rounded to bytes in between, as torchvision
 * does with float tensors. One a thread.
 */
export class ViewRenderer implements Renderer {
  readonly #kernels = instantiateImageKernels();
  readonly #size: number;
  /** Bytes of a row, rounded up to whole vectors of four pixels; what fills it up is arbitrary. */
  readonly #rowBytes: number;
  readonly #planeBytes: number;
  /** Address of the red plane, the other two follow; and of three more planes, the target of a blur. */
  #planes: number;
  #spare: number;
  /** One line with room for its reflection on both sides. */
  readonly #line: number;
  /** Tables of the vertical and of the horizontal pass of a blur. */
  readonly #pairs: number;
  /** What follows depends on the size of the input. */
  readonly #free: number;
  #bytes = new Uint8Array(0);
  #integers = new Int32Array(0);
  #floats = new Float32Array(0);

  constructor(size: number) {
    this.#size = size;
    this.#rowBytes = align(4 * size);
    this.#planeBytes = size * this.#rowBytes;
    this.#planes = 0;
    this.#spare = 3 * this.#planeBytes;
    this.#line = this.#spare + 3 * this.#planeBytes + align(4 * size);
    this.#pairs = this.#line + 2 * align(4 * size);
    this.#free = this.#pairs + 2 * pairBytes * size;
    this.#reserve(this.#free);
  }

  /**
   * Memory for the pixels of an image, [H, W, 3], that can be resampled without a copy. The next image may take the
   * same memory.
   */
  pixels(width: number, height: number): Uint8Array<ArrayBuffer> {
    const { pixels } = this.#place(width, height);
    return this.#bytes.subarray(pixels, pixels + 3 * width * height);
  }

  /**
   * @param image decoded, in `pixels` or elsewhere
   * @param columns filter of the image's x axis, over inputs of `region`
   * @param rows filter of the image's y axis, over inputs of `region`
   * @param region the part of the image that the filters read
   */
  resample(image: RawImage, region: Rectangle, columns: AxisFilter, rows: AxisFilter): void {
    const size = this.#size;
    const imageRow = 3 * image.width;
    const groups = Math.ceil(size / 4);
    const tapPairs = Math.ceil(columns.stride / 2);
    const groupBytes = tapPairs * 32;
    const { first, columnWeights, rowWeights, row, pixels } = this.#place(image.width, image.height);

    if (image.data.buffer !== this.#bytes.buffer) {
      const from = region.y * imageRow;
      this.#bytes.set(image.data.subarray(from, from + region.height * imageRow), pixels + from);
    }
    this.#floats.set(rows.weights, rowWeights / 4);
    this.#floats.fill(0, columnWeights / 4, (columnWeights + groups * groupBytes) / 4);
    // Taps beyond the last pixel have weight 0, but are read.
    const rowEnd = row + 12 * region.width;
    this.#floats.fill(0, rowEnd / 4, (rowEnd + 24 * tapPairs + overrun) / 4);
    for (let x = 0; x < 4 * groups; x++) {
      const inside = x < size;
      this.#integers[first / 4 + x] = row + (inside ? 12 * (columns.first[x]! - region.x) : 0);
      if (!inside) continue;
      let target = columnWeights / 4 + (x >> 2) * (groupBytes / 4) + (x & 3);
      const base = x * columns.stride;
      for (let k = 0; k < columns.taps[x]!; k++, target += 4)
        this.#floats[target] = columns.weights[base + k]!;
    }
    const { blendRows, blendColumns } = this.#kernels;
    for (let y = 0; y < size; y++) {
      const source = pixels + rows.first[y]! * imageRow + 3 * region.x;
      const weights = rowWeights + 4 * y * rows.stride;
      blendRows(source, imageRow, weights, weights + 4 * rows.taps[y]!, row, rowEnd);
      const out = this.#planes + y * this.#rowBytes;
      blendColumns(first, columnWeights, columnWeights, groupBytes, out, this.#planeBytes);
    }
  }

  brightness(factor: number): void {
    this.#scaleAndClamp(factor, 0);
  }

  contrast(factor: number): void {
    this.#scaleAndClamp(factor, (1 - factor) * this.#meanLuma());
  }

  saturation(factor: number): void {
    this.#kernels.saturate(this.#planes, this.#planes + this.#planeBytes, this.#planeBytes, factor);
  }

  hue(turns: number): void {
    const offsets = [5, 3, 1].map((sixths) => (((sixths + 6 * turns) % 6) + 6) % 6) as [
      number,
      number,
      number,
    ];
    this.#kernels.shiftHue(this.#planes, this.#planes + this.#planeBytes, this.#planeBytes, ...offsets);
  }

  /**
   * Gaussian blur with reflection at the border (torchvision's `reflect`). The kernel is cut at three standard
   * deviations.
   */
  blur(sigma: number): void {
    const size = this.#size;
    const rowBytes = this.#rowBytes;
    const line = this.#line;
    const { blendPairs } = this.#kernels;
    const kernel = gaussianKernel(sigma, size - 1);
    const radius = kernel.length - 1;
    const vertical = this.#pairs;
    const verticalEnd = vertical + radius * pairBytes;
    const horizontal = this.#pairs + size * pairBytes;
    const horizontalEnd = horizontal + radius * pairBytes;
    for (let k = 1; k <= radius; k++) {
      this.#setPair(vertical, k, 0, 0, kernel[k]!);
      this.#setPair(horizontal, k, line - 4 * k, line + 4 * k, kernel[k]!);
    }
    const integers = this.#integers;
    const floats = this.#floats;
    const lineStart = line / 4;
    const lineEnd = lineStart + size - 1;
    for (let channel = 0; channel < 3; channel++) {
      const plane = this.#planes + channel * this.#planeBytes;
      const target = this.#spare + channel * this.#planeBytes;
      for (let y = 0; y < size; y++) {
        for (let k = 1, pair = vertical / 4; k <= radius; k++, pair += pairBytes / 4) {
          integers[pair] = plane + Math.abs(y - k) * rowBytes;
          integers[pair + 1] = plane + (y + k < size ? y + k : 2 * (size - 1) - y - k) * rowBytes;
        }
        blendPairs(plane + y * rowBytes, kernel[0]!, vertical, verticalEnd, line, rowBytes);
        for (let k = 1; k <= radius; k++) {
          floats[lineStart - k] = floats[lineStart + k]!;
          floats[lineEnd + k] = floats[lineEnd - k]!;
        }
        blendPairs(line, kernel[0]!, horizontal, horizontalEnd, target + y * rowBytes, rowBytes);
      }
    }
    [this.#planes, this.#spare] = [this.#spare, this.#planes];
  }

  /** Values of the bright half, from 128 on, are inverted (torchvision's RandomSolarize with MoCo v3's threshold). */
  solarize(): void {
    this.#kernels.solarize(this.#planes, this.#planes + 3 * this.#planeBytes);
  }

  /** Write `(value - mean) * scale`, [3, S, S], into `out` at `offset`; the values here are spent. */
  normalizeInto(out: Float32Array, offset: number, mean: readonly number[], scale: readonly number[]): void {
    const size = this.#size;
    const planeBytes = this.#planeBytes;
    for (let channel = 0; channel < 3; channel++) {
      const plane = this.#planes + channel * planeBytes;
      this.#kernels.normalize(plane, plane + planeBytes, mean[channel]!, scale[channel]!);
    }
    const start = this.#planes / 4;
    const pitch = this.#rowBytes / 4;
    if (pitch === size) {
      out.set(this.#floats.subarray(start, start + 3 * size * size), offset);
      return;
    }
    for (let row = 0; row < 3 * size; row++) {
      const from = start + row * pitch;
      out.set(this.#floats.subarray(from, from + size), offset + row * size);
    }
  }

  #scaleAndClamp(factor: number, shift: number): void {
    this.#kernels.scaleAndClamp(this.#planes, this.#planes + 3 * this.#planeBytes, factor, shift);
  }

  #meanLuma(): number {
    const size = this.#size;
    const rowBytes = this.#rowBytes;
    const pitch = rowBytes / 4;
    if (pitch !== size) {
      for (let row = 0, end = this.#planes / 4; row < 3 * size; row++) {
        end += pitch;
        this.#floats.fill(0, end - pitch + size, end);
      }
    }
    let sum = 0;
    // Row by row, so that float32 is precise enough inside a row.
    for (let y = 0; y < size; y++) {
      const row = this.#planes + y * rowBytes;
      sum += this.#kernels.sumLuma(row, row + rowBytes, this.#planeBytes);
    }
    return sum / (size * size);
  }

  #setPair(table: number, k: number, a: number, b: number, weight: number): void {
    const pair = (table + (k - 1) * pairBytes) / 4;
    this.#integers[pair] = a;
    this.#integers[pair + 1] = b;
    this.#floats[pair + 2] = weight;
  }

  /** Addresses of what it takes to resample any part of an image of that size; the memory reaches to their end. */
  #place(width: number, height: number) {
    const size = this.#size;
    const groups = Math.ceil(size / 4);
    const tapPairs = Math.ceil(maxTaps(width, size) / 2);
    const first = this.#free;
    const columnWeights = first + 16 * groups;
    const rowWeights = columnWeights + groups * tapPairs * 32;
    const row = align(rowWeights + 4 * size * maxTaps(height, size));
    const pixels = align(row + 12 * (width + 2 * tapPairs) + 4 * overrun);
    this.#reserve(pixels + 3 * width * height + overrun);
    return { first, columnWeights, rowWeights, row, pixels };
  }

  #reserve(bytes: number): void {
    const { memory } = this.#kernels;
    const missing = bytes - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
    if (this.#bytes.buffer === memory.buffer) return;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#integers = new Int32Array(memory.buffer);
    this.#floats = new Float32Array(memory.buffer);
  }
}

/** Up to a whole vector. */
function align(bytes: number): number {
  return (bytes + 15) & -16;
}
