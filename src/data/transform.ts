import type { ViewParameters } from './augmentation.js';
import { axisFilter } from './axisFilter.js';
import type { RawImage } from './imageStore.js';
import { ViewRenderer } from './viewRenderer.js';

/** Mean or standard deviation of the channels, of values scaled to 0 .. 1. */
export type ChannelStatistics = readonly [number, number, number];

/** Turns decoded images into normalised network inputs [3, size, size]. Holds scratch memory: one a thread. */
export class ImageTransform {
  readonly #size: number;
  /** Of byte values. */
  readonly #mean: readonly number[];
  /** Normalised value = (byte - mean) * scale, of each channel. */
  readonly #scale: readonly number[];
  readonly #renderer: ViewRenderer;

  constructor(size: number, mean: ChannelStatistics, std: ChannelStatistics) {
    this.#size = size;
    this.#mean = mean.map((value) => 255 * value);
    this.#scale = std.map((deviation) => 1 / (255 * deviation));
    this.#renderer = new ViewRenderer(size);
  }

  /** Memory for the pixels of one image (`ViewRenderer.pixels`). */
  pixels(width: number, height: number): Uint8Array<ArrayBuffer> {
    return this.#renderer.pixels(width, height);
  }

  /** Write an augmented view [3, size, size] into `out` at `offset`. */
  view(image: RawImage, parameters: ViewParameters, out: Float32Array, offset: number): void {
    const { crop, flip, colorSteps, grayscale, blurSigma, solarize } = parameters;
    const size = this.#size;
    const renderer = this.#renderer;
    // Everything after the crop treats left and right alike, so the flip can come first, where it is free.
    const columns = axisFilter(crop.x, crop.width, size, { reverse: flip });
    const rows = axisFilter(crop.y, crop.height, size);
    renderer.resample(image, crop, columns, rows);
    for (const step of colorSteps) renderer.applyColorStep(step);
    if (grayscale) renderer.toGrayscale();
    if (blurSigma > 0) renderer.blur(blurSigma);
    if (solarize) renderer.solarize();
    renderer.normalizeInto(out, offset, this.#mean, this.#scale);
  }

  /**
   * Write the centre [3, size, size] into `out` at `offset`: the short side is resized to 256/224 of `size`
   * first (docs/method.md, recipes). An image of the right size is taken as it is.
   */
  evaluation(image: RawImage, out: Float32Array, offset: number): void {
    const { width, height } = image;
    const size = this.#size;
    const short = width === size && height === size ? size : Math.round((size * 256) / 224);
    const scale = short / Math.min(width, height);
    const columns = centerFilter(width, scale, size);
    const rows = centerFilter(height, scale, size);
    this.#renderer.resample(image, { x: 0, y: 0, width, height }, columns, rows);
    this.#renderer.normalizeInto(out, offset, this.#mean, this.#scale);
  }
}

function centerFilter(length: number, scale: number, size: number) {
  // A little above, so that the short side is not rounded down.
  const resized = Math.floor(length * scale + 1e-6);
  return axisFilter(0, length, resized, { from: Math.round((resized - size) / 2), count: size });
}
