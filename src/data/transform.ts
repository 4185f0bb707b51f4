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
   * Write the centre [3, size, size] into `out` at `offset` (`centerCrop`; docs/method.md, recipes). An image of the
   * right size is taken as it is.
   */
  evaluation(image: RawImage, out: Float32Array, offset: number): void {
    const { width, height } = image;
    const size = this.#size;
    const { resized, left, top } = centerCrop(width, height, size);
    const columns = axisFilter(0, width, resized.width, { from: left, count: size });
    const rows = axisFilter(0, height, resized.height, { from: top, count: size });
    this.#renderer.resample(image, { x: 0, y: 0, width, height }, columns, rows);
    this.#renderer.normalizeInto(out, offset, this.#mean, this.#scale);
  }
}

/** Where evaluation cuts a square out of an image, in pixels. */
export interface CenterCrop {
  /** What the whole image is resized to first. */
  readonly resized: { readonly width: number; readonly height: number };
  /** Of the square, in the resized image. */
  readonly left: number;
  readonly top: number;
}

/**
 * The centre of an image for a network input of `size`, to the pixel that of torchvision's
 * `Resize(round(size * 256 / 224))` and `CenterCrop(size)`: the long side is rounded down, a half offset to even. An
 * image of `size x size` is not resized.
 */
export function centerCrop(width: number, height: number, size: number): CenterCrop {
  const short = width === size && height === size ? size : shortSide(size);
  const resize = (length: number) => Math.floor((short * length) / Math.min(width, height));
  const resized = { width: resize(width), height: resize(height) };
  const offset = (length: number) => roundHalfEven((length - size) / 2);
  return { resized, left: offset(resized.width), top: offset(resized.height) };
}

/** What evaluation resizes the short side of an image to, for a network input of `size`. */
export function shortSide(size: number): number {
  return Math.round((size * 256) / 224);
}

/** To the nearest integer, of two equally near ones the even one, as Python's `round`. */
function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}
