import { judged } from '../training/measurements.js';
import type { KnnEvent } from './history.js';

/** The best that the monitor has found, before what it found is thinned. */
export interface BestMeasurements {
  /** Of each width, by label: the first of the greatest top-1. */
  readonly widths: Readonly<Record<string, KnnEvent>>;
  /** By the mean over the widths. */
  readonly mean: KnnEvent | undefined;
}

export class BestMeasurementsBuilder {
  readonly #widths = new Map<string, KnnEvent>();
  #mean: KnnEvent | undefined;

  add(event: KnnEvent): void {
    for (const [label, { top1 }] of Object.entries(event.accuracies)) {
      const best = this.#widths.get(label);
      if (!best || top1 > best.accuracies[label]!.top1) this.#widths.set(label, structuredClone(event));
    }
    if (!this.#mean || meanTop1(event) > meanTop1(this.#mean)) this.#mean = structuredClone(event);
  }

  build(): BestMeasurements {
    return { widths: Object.fromEntries(this.#widths), mean: this.#mean };
  }
}

function meanTop1({ accuracies }: KnnEvent): number {
  return judged('mean', accuracies);
}
