import type { Reweighting } from '../config/techniques.js';

/** Widths descending, the full one first -> a weight for each. */
type Scheme = (widths: readonly number[]) => number[];

const schemes: { readonly [K in Reweighting['kind']]: Scheme } = {
  none: (widths) => widths.map(() => 1),
  'sum-of-others': (widths) => fullWidthPlus(sum(widths.slice(1)), widths),
  // A single width has no second largest.
  'second-largest': (widths) => fullWidthPlus(widths[1] ?? 0, widths),
  width: (widths) => [...widths],
  'width-share': (widths) => normalized(widths, 1),
  'mean-one': (widths) => normalized(widths, widths.length),
  cumulative: (widths) => {
    const smaller = widths.map((_, i) => sum(widths.slice(i + 1)));
    return normalized(
      smaller.map((total) => 1 + total),
      widths.length,
    );
  },
};

/**
 * Weight lambda_w of each width's loss in the total (docs/method.md, loss re-weighting). `widths` descending, the
 * full one first; the result is in the same order.
 */
export function lossWeights(reweighting: Reweighting, widths: readonly number[]): number[] {
  return schemes[reweighting.kind](widths);
}

function fullWidthPlus(extra: number, widths: readonly number[]): number[] {
  return widths.map((_, i) => (i === 0 ? 1 + extra : 1));
}

/** Scaled to the sum `total`. */
function normalized(weights: readonly number[], total: number): number[] {
  const factor = total / sum(weights);
  return weights.map((weight) => weight * factor);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
