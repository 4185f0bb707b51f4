import type { Config } from '../config/schema.js';

export type Reweighting = Config['method']['reweighting'];

/**
 * Weight lambda_w of each width's loss in the total (docs/method.md, loss re-weighting). `widths` descending, the
 * full one first; the result is in the same order.
 */
export function lossWeights(scheme: Reweighting, widths: readonly number[]): number[] {
  switch (scheme.kind) {
    case 'none':
      return widths.map(() => 1);
    case 'sum-of-others': {
      const others = widths.slice(1).reduce((sum, width) => sum + width, 0);
      return widths.map((_, i) => (i === 0 ? 1 + others : 1));
    }
  }
}
