import type { Config } from '../config/schema.js';
import type { Region } from '../graph/region.js';

/** Channels of a layer that lie side by side. */
export interface Channels {
  readonly start: number;
  readonly count: number;
}

/** Which channels a width uses of a layer that has so many at full width. */
export type Slicing = (channels: number, width: number) => Channels;

/** The slicing of a config's `techniques.weights`. */
export function slicingOf({ techniques, widths }: Pick<Config, 'techniques' | 'widths'>): Slicing {
  return techniques.weights === 'overlapping' ? overlapping : nonOverlapping(widths);
}

/** Every width uses the first channels. */
export const overlapping: Slicing = (channels, width) => ({ start: 0, count: slimmed(channels, width) });

/**
 * Every width below 1 uses channels of its own, the narrowest the first ones, each other those behind the narrower
 * ones; width 1 uses all. `widths` are those of the network; the ones below 1 add up to 1 at most.
 */
export function nonOverlapping(widths: readonly number[]): Slicing {
  return (channels, width) => {
    const narrower = width === 1 ? [] : widths.filter((other) => other < width);
    return {
      start: narrower.reduce((sum, other) => sum + slimmed(channels, other), 0),
      count: slimmed(channels, width),
    };
  };
}

/** Channels of an axis that is not sliced. */
export function whole(count: number): Channels {
  return { start: 0, count };
}

/** The block of a tensor that has these channels along its axes. */
export function blockOfChannels(...axes: readonly Channels[]): Region {
  return { start: axes.map(({ start }) => start), shape: axes.map(({ count }) => count) };
}

/** Output or input channels at a width: `int(c * w)` (docs/method.md). Throws when none is left. */
export function slimmed(channels: number, width: number): number {
  const count = Math.floor(channels * width);
  if (count < 1) throw new Error(`width ${width} leaves none of ${channels} channels`);
  return count;
}
