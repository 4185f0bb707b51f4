import type { ViewParameters } from './augmentation.js';
import { applyColorStep, toGrayscale } from './colorOperations.js';
import { GaussianBlur } from './gaussianBlur.js';
import { axisFilter, Resampler } from './resample.js';
import type { RawImage } from './imageStore.js';

/** Mean or standard deviation of the channels, of values scaled to 0 .. 1. */
export type ChannelStatistics = readonly [number, number, number];

/** Turns decoded images into normalised network inputs [3, size, size]. Holds scratch memory: one a thread. */
export class ImageTransform {
  readonly #size: number;
  /** Normalised value = scale * byte + bias, of each channel. */
  readonly #scale: readonly number[];
  readonly #bias: readonly number[];
  readonly #planes: Float32Array;
  readonly #resampler = new Resampler();
  readonly #blur: GaussianBlur;

  constructor(size: number, mean: ChannelStatistics, std: ChannelStatistics) {
    this.#size = size;
    this.#scale = std.map((deviation) => 1 / (255 * deviation));
    this.#bias = mean.map((value, channel) => -value / std[channel]!);
    this.#planes = new Float32Array(3 * size * size);
    this.#blur = new GaussianBlur(size);
  }

  /** Write an augmented view [3, size, size] into `out` at `offset`. */
  view(image: RawImage, parameters: ViewParameters, out: Float32Array, offset: number): void {
    const { crop, flip, colorSteps, grayscale, blurSigma } = parameters;
    const size = this.#size;
    const planes = this.#planes;
    // Everything after the crop treats left and right alike, so the flip can come first, where it is free.
    const columns = axisFilter(crop.x, crop.width, size, { reverse: flip });
    const rows = axisFilter(crop.y, crop.height, size);
    this.#resampler.resample(image, crop, columns, rows, planes);
    for (const step of colorSteps) applyColorStep(planes, size * size, step);
    if (grayscale) toGrayscale(planes, size * size);
    if (blurSigma > 0) this.#blur.apply(planes, blurSigma);
    this.#normalize(out, offset);
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
    this.#resampler.resample(image, { x: 0, y: 0, width, height }, columns, rows, this.#planes);
    this.#normalize(out, offset);
  }

  #normalize(out: Float32Array, offset: number): void {
    const pixels = this.#size * this.#size;
    const planes = this.#planes;
    for (let channel = 0; channel < 3; channel++) {
      const scale = this.#scale[channel]!;
      const bias = this.#bias[channel]!;
      const start = channel * pixels;
      for (let i = start; i < start + pixels; i++) out[offset + i] = planes[i]! * scale + bias;
    }
  }
}

function centerFilter(length: number, scale: number, size: number) {
  // A little above, so that the short side is not rounded down.
  const resized = Math.floor(length * scale + 1e-6);
  return axisFilter(0, length, resized, { from: Math.round((resized - size) / 2), count: size });
}
