import type { Range } from './scales.js';

/** How often the values of an activation fall into equal parts of its range. */
export class Histogram {
  readonly counts: Float64Array;

  constructor(
    readonly range: Range,
    readonly bins: number,
  ) {
    this.counts = new Float64Array(bins);
  }

  add(values: Float32Array): void {
    const { min, max } = this.range;
    const perUnit = max > min ? this.bins / (max - min) : 0;
    const last = this.bins - 1;
    for (const value of values) {
      const bin = Math.floor((value - min) * perUnit);
      this.counts[bin < 0 ? 0 : bin > last ? last : bin]!++;
    }
  }

  /** Where a bin begins; that of `bins` is the end of the range. */
  edge(bin: number): number {
    const { min, max } = this.range;
    return min + ((max - min) * bin) / this.bins;
  }
}

/** The range without the outermost bins as long as these hold no more than (1 - share) / 2 of the values at each end. */
export function percentileRange(histogram: Histogram, share: number): Range {
  const { counts, bins } = histogram;
  const total = counts.reduce((a, b) => a + b, 0);
  const cut = (total * (1 - share)) / 2;
  let [first, below] = [0, counts[0]!];
  while (below <= cut && first < bins - 1) below += counts[++first]!;
  let [last, above] = [bins - 1, counts[bins - 1]!];
  while (above <= cut && last > first) above += counts[--last]!;
  return { min: histogram.edge(first), max: histogram.edge(last + 1) };
}

/**
 * The range, cut to magnitudes up to a threshold, whose values lose least by being rounded to so many levels: of all
 * thresholds the one where the distribution of the rounded magnitudes diverges least (Kullback, Leibler) from that of
 * the magnitudes, those beyond the threshold counted at it (Migacz, 8-bit inference with TensorRT, GTC 2017).
 * `histogram` is of magnitudes, its range beginning at 0.
 */
export function entropyThreshold(histogram: Histogram, levels: number): number {
  const { counts, bins } = histogram;
  let [best, least] = [bins, Infinity];
  let beyond = counts.reduce((a, b) => a + b, 0);
  for (let bin = 0; bin < levels; bin++) beyond -= counts[bin]!;
  for (let end = levels; end <= bins; beyond -= counts[end++]!) {
    const divergence = divergenceOfRounded(counts.subarray(0, end), Math.max(0, beyond), levels);
    if (divergence < least) [best, least] = [end, divergence];
  }
  return histogram.edge(best);
}

/** Kullback-Leibler divergence, in nats, of counts from themselves rounded to levels; `beyond` are counted with the last. */
function divergenceOfRounded(counts: Float64Array, beyond: number, levels: number): number {
  const { length } = counts;
  const total = counts.reduce((a, b) => a + b, beyond);
  if (total === 0) return 0;
  let inside = total - beyond;
  if (inside === 0) inside = 1;
  let divergence = 0;
  for (let level = 0; level < levels; level++) {
    const start = Math.floor((level * length) / levels);
    const end = Math.floor(((level + 1) * length) / levels);
    let [sum, occupied] = [0, 0];
    for (let bin = start; bin < end; bin++) {
      sum += counts[bin]!;
      // A bin that is empty stays empty, its neighbours get its part; the last one has what lies beyond.
      if (counts[bin]! > 0 || (bin === length - 1 && beyond > 0)) occupied++;
    }
    // Values beyond, where no rounded ones are: a divergence, kept finite.
    const each = Math.max(occupied === 0 ? 0 : sum / occupied, 1e-3) / inside;
    for (let bin = start; bin < end; bin++) {
      const p = (counts[bin]! + (bin === length - 1 ? beyond : 0)) / total;
      if (p > 0) divergence += p * Math.log(p / each);
    }
  }
  return divergence;
}
