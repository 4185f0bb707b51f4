import type { WidthLoss } from '../training/events.js';

/** An epoch of training, whole or begun. */
export interface EpochMean {
  /** From 0. */
  readonly epoch: number;
  /** Steps of it that were made. */
  readonly steps: number;
  /** Losses of each width, means over these steps; terms are left out. */
  readonly losses: Readonly<Record<string, Pick<WidthLoss, 'loss' | 'teacherEntropy'>>>;
}

interface Sum {
  count: number;
  loss: number;
  entropy: number;
}

/** Adds up the losses of steps by epoch: what remains of a log of any length. Losses that are not finite are left out. */
export class EpochMeans {
  readonly #epochs = new Map<number, { steps: number; readonly sums: Map<string, Sum> }>();

  add(epoch: number, losses: Readonly<Record<string, WidthLoss>>): void {
    let own = this.#epochs.get(epoch);
    if (!own) this.#epochs.set(epoch, (own = { steps: 0, sums: new Map() }));
    own.steps++;
    for (const label in losses) {
      const { loss, teacherEntropy = 0 } = losses[label]!;
      if (!Number.isFinite(loss)) continue;
      const sum = own.sums.get(label) ?? { count: 0, loss: 0, entropy: 0 };
      sum.count++;
      sum.loss += loss;
      sum.entropy += teacherEntropy;
      own.sums.set(label, sum);
    }
  }

  /** In order. */
  items(): EpochMean[] {
    return [...this.#epochs]
      .sort(([a], [b]) => a - b)
      .map(([epoch, { steps, sums }]) => ({
        epoch,
        steps,
        losses: Object.fromEntries(
          [...sums].map(([label, { count, loss, entropy }]) => [
            label,
            { loss: loss / count, teacherEntropy: entropy / count },
          ]),
        ),
      }));
  }
}
