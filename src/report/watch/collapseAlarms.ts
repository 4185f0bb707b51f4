import { collapsed } from '../../diagnostics/featureStatistics.js';
import type { Diagnostics } from '../../diagnostics/measured.js';

/** One line for each width whose embeddings collapsed. */
export function collapseAlarms(features: Diagnostics['features'] = {}): string[] {
  return collapsed(features).map(
    (label) =>
      `the embeddings of ${label} are nearly the same for all images (collapse): ` +
      `normalised standard deviation ${features[label]!.std.toPrecision(2)}, 1 is best`,
  );
}
