import { shellWord } from '../shellWord.js';
import { fullScale, rgb8, type PixelFormat, type RawImage } from './rawImage.js';

/** Of values scaled to 0 .. 1, by channel: what `data.mean` and `data.std` take. */
export interface MeasuredStatistics {
  readonly mean: readonly number[];
  /** Of the population; 0 where a channel is the same everywhere. */
  readonly std: readonly number[];
  /** Images that they are of. */
  readonly images: number;
}

/**
 * Mean and standard deviation of the pixels of images as they are decoded, not resized: every image counts the same,
 * whatever its size, as it does to the network. The order in which images are added changes nothing.
 */
export class StatisticsMeter {
  /** [count, 2, C]: means and variances of each image; NaN of those that are not added. */
  readonly #values: Float64Array;

  /** For `count` images of `channels` channels. */
  constructor(
    private readonly count: number,
    private readonly channels: number,
  ) {
    this.#values = new Float64Array(count * 2 * channels).fill(NaN);
  }

  /** Image `index` of them. */
  add(index: number, image: RawImage): void {
    const { channels } = this;
    const { data } = image;
    const full = fullScale(image);
    const pixels = data.length / channels;
    for (let c = 0, at = 2 * channels * index; c < channels; c++, at++) {
      let sum = 0;
      for (let i = c; i < data.length; i += channels) sum += data[i]!;
      // Differences from about the mean, so that their squares are small; integers, so that flat channels have a variance
      // of exactly 0.
      const origin = Math.round(sum / pixels);
      let squares = 0;
      for (let i = c; i < data.length; i += channels) squares += (data[i]! - origin) ** 2;
      const rest = sum - pixels * origin;
      this.#values[at] = sum / pixels / full;
      this.#values[at + channels] = Math.max(0, squares - (rest * rest) / pixels) / pixels / full ** 2;
    }
  }

  /** Null before the first image. */
  measured(): MeasuredStatistics | null {
    const { count, channels } = this;
    const images = Array.from({ length: count }, (_, index) => 2 * channels * index).filter(
      (at) => !Number.isNaN(this.#values[at]),
    );
    if (images.length === 0) return null;
    const average = (of: (at: number) => number) =>
      images.reduce((sum, at) => sum + of(at), 0) / images.length;
    const value = (at: number) => this.#values[at]!;
    const mean = Array.from({ length: channels }, (_, c) => average((at) => value(at + c)));
    const std = mean.map((center, c) =>
      Math.sqrt(average((at) => value(at + channels + c) + (value(at + c) - center) ** 2)),
    );
    return { mean, std, images: images.length };
  }
}

/** Digits of the numbers that a config is given: of more, the next image would change the last. */
const digits = 5;

/**
 * What a run on these images is given, ready for a command line: `--set 'data.mean=[0.1307]' ...`. A channel that is the
 * same everywhere is divided by 1.
 */
export function statisticsOptions({ mean, std }: MeasuredStatistics, pixels: PixelFormat): string {
  const list = (values: readonly number[]) =>
    `[${values.map((value) => Number(value.toPrecision(digits))).join(',')}]`;
  const assignments = [
    ...(['channels', 'depth'] as const)
      .filter((key) => pixels[key] !== rgb8[key])
      .map((key) => `data.${key}=${pixels[key]}`),
    `data.mean=${list(mean)}`,
    `data.std=${list(std.map((value) => value || 1))}`,
  ];
  return assignments.map((assignment) => `--set ${shellWord(assignment)}`).join(' ');
}
