import type { ViewParameters } from './augmentation.js';
import { axisFilter } from './axisFilter.js';
import { centerCrop } from './centerCrop.js';
import { fullScale, type RawImage } from './rawImage.js';
import { Renderers, type Renderer } from './renderer.js';

export { shortSide } from './centerCrop.js';

/** Mean or standard deviation of the channels, of values scaled to 0 .. 1. */
export type ChannelStatistics = readonly number[];

/** Normalised value = (sample - mean) * scale, of each channel. */
interface Normalization {
  readonly mean: readonly number[];
  readonly scale: readonly number[];
}

/**
 * Turns decoded images into normalised network inputs [C, size, size], of as many channels as there are means. Holds
 * scratch memory: one a thread.
 */
export class ImageTransform {
  readonly #size: number;
  /** By the sample that is white. */
  readonly #normalizations: Readonly<Record<number, Normalization>>;
  readonly #renderers: Renderers;

  constructor(size: number, mean: ChannelStatistics, std: ChannelStatistics) {
    this.#size = size;
    const of = (full: number): Normalization => ({
      mean: mean.map((value) => full * value),
      scale: std.map((deviation) => 1 / (full * deviation)),
    });
    this.#normalizations = { 255: of(255), 65535: of(65_535) };
    this.#renderers = new Renderers(size);
  }

  /** Memory for the pixels of one RGB image (`ViewRenderer.pixels`). */
  pixels(width: number, height: number): Uint8Array<ArrayBuffer> {
    return this.#renderers.pixels(width, height);
  }

  /** Write an augmented view [C, size, size] into `out` at `offset`. */
  view(image: RawImage, parameters: ViewParameters, out: Float32Array, offset: number): void {
    const { crop, flip, colorSteps, grayscale, blurSigma, solarize } = parameters;
    const size = this.#size;
    const renderer = this.#renderers.of(image);
    // Everything after the crop treats left and right alike, so the flip can come first, where it is free.
    const columns = axisFilter(crop.x, crop.width, size, { reverse: flip });
    const rows = axisFilter(crop.y, crop.height, size);
    renderer.resample(image, crop, columns, rows);
    for (const { kind, factor } of colorSteps) renderer[kind](factor);
    // All three channels become the luma.
    if (grayscale) renderer.saturation(0);
    if (blurSigma > 0) renderer.blur(blurSigma);
    if (solarize) renderer.solarize();
    this.#write(renderer, image, out, offset);
  }

  /**
   * Write the centre [C, size, size] into `out` at `offset` (`centerCrop`; docs/method.md, recipes). An image of the
   * right size is taken as it is.
   */
  evaluation(image: RawImage, out: Float32Array, offset: number): void {
    const { width, height } = image;
    const size = this.#size;
    const { resized, left, top } = centerCrop(width, height, size);
    const columns = axisFilter(0, width, resized.width, { from: left, count: size });
    const rows = axisFilter(0, height, resized.height, { from: top, count: size });
    const renderer = this.#renderers.of(image);
    renderer.resample(image, { x: 0, y: 0, width, height }, columns, rows);
    this.#write(renderer, image, out, offset);
  }

  #write(renderer: Renderer, image: RawImage, out: Float32Array, offset: number): void {
    const { mean, scale } = this.#normalizations[fullScale(image)]!;
    renderer.normalizeInto(out, offset, mean, scale);
  }
}
