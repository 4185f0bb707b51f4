import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import { counted } from '../counted.js';
import { slimStartEpoch } from '../config/techniques.js';
import type { BestMark } from './checkpointIndex.js';
import { logFile, readEvents } from './eventLog.js';
import type { TrainingEvent } from './events.js';

type MonitorConfig = Extract<Config['monitor'], { kind: 'knn' }>;
type Measurement = Pick<Extract<TrainingEvent, { type: 'knn' }>, 'step' | 'accuracies'>;

/** A measurement after a step, counted from 0, by the accuracy that is compared. */
interface Judged {
  readonly step: number;
  readonly accuracy: number;
}

/** The accuracy that `monitor.criterion` compares: top-1, a share; widest first as the events have it. */
export function judged(criterion: MonitorConfig['criterion'], accuracies: Measurement['accuracies']): number {
  const shares = Object.values(accuracies).map(({ top1 }) => top1);
  if (criterion === 'full') return shares[0]!;
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/** Whether two monitors measure the same; when, and what becomes of it, may differ. */
function measuresAlike(a: Config['monitor'], b: MonitorConfig): boolean {
  const keys = ['source', 'trainLimit', 'testLimit', 'neighbours', 'temperature'] as const;
  return a.kind === b.kind && keys.every((key) => a[key] === b[key]);
}

/**
 * What the monitor of a run has found, over all its processes: which steps were measured, which of them was the best,
 * and whether it is time to stop. A run that goes on has it from the log, so that it goes on as if it had never ended.
 */
export class Measurements {
  readonly #monitor: MonitorConfig;
  /** Steps of the epochs in which the full width trains alone; their measurements are not counted as without improvement. */
  readonly #slowSteps: number;
  readonly #done: Judged[] = [];

  constructor({ monitor, techniques, widths }: Config, stepsPerEpoch: number) {
    if (monitor.kind !== 'knn') throw new Error('no monitor');
    this.#monitor = monitor;
    this.#slowSteps = widths.length > 1 ? slimStartEpoch(techniques.slowStart) * stepsPerEpoch : 0;
  }

  /**
   * Takes those of a log that are before `step`, from which the run goes on, and that no earlier process went back
   * behind; where it has none, the one of the best checkpoint. What was measured on other images, or otherwise, cannot be
   * compared and is left out.
   */
  async read(runFolder: string, step: number, best: BestMark | null): Promise<void> {
    const path = join(runFolder, logFile);
    let isComparable = true;
    let isKnown = false;
    if (existsSync(path)) {
      await readEvents(path, {
        only: ['knn', 'start'],
        onEvent: (event) => {
          if (event.type === 'start') {
            this.#dropFrom(event.step);
            isComparable = measuresAlike(event.config.monitor, this.#monitor);
          } else if (event.type === 'knn') {
            isKnown = true;
            if (isComparable) this.add(event);
          }
        },
      });
      this.#dropFrom(step);
    }
    if (isKnown || best === null || best.step > step) return;
    if (best.criterion === this.#monitor.criterion) this.#done.push({ ...best, step: best.step - 1 });
  }

  /** `step`: that which was the last before it. */
  add({ step, accuracies }: Measurement): void {
    this.#dropFrom(step);
    this.#done.push({ step, accuracy: judged(this.#monitor.criterion, accuracies) });
  }

  /** Whether it was measured after this step, counted from 0. */
  has(step: number): boolean {
    return this.#done.some((measurement) => measurement.step === step);
  }

  /** After how many steps it was measured, in order. */
  get steps(): number[] {
    return this.#done.map(({ step }) => step + 1);
  }

  get best(): BestMark | null {
    return this.bestOf(() => true);
  }

  /** The first of those with the greatest accuracy, by the steps done; null when nothing was measured. */
  bestOf(isMeant: (step: number) => boolean): BestMark | null {
    const { criterion } = this.#monitor;
    const meant = this.#done.filter(({ step }) => isMeant(step + 1));
    const best = meant.reduce<Judged | null>(
      (best, next) => (best === null || next.accuracy > best.accuracy ? next : best),
      null,
    );
    return best && { step: best.step + 1, criterion, accuracy: best.accuracy };
  }

  /** Measurements in a row without improvement, those of the slow start not counted. */
  get without(): number {
    return this.#trend().without;
  }

  /** Why training ends early, in one line; null while it is to go on. */
  get stop(): string | null {
    const { patience, minDelta, criterion } = this.#monitor;
    if (patience === 0) return null;
    const { reference, without } = this.#trend();
    if (reference === undefined || without < patience) return null;
    const what = criterion === 'full' ? 'of the full width' : 'of all widths, on average,';
    const least = minDelta > 0 ? ` by more than ${Number((100 * minDelta).toFixed(4))} points` : '';
    return (
      `kNN top-1 ${what} has not risen above the ${(100 * reference.accuracy).toFixed(2)} % after step ` +
      `${reference.step + 1}${least} in ${counted(without, 'measurement')} (monitor.patience)`
    );
  }

  /** The latest improvement, which the first measurement is, and how many came after it without another. */
  #trend(): { readonly reference: Judged | undefined; readonly without: number } {
    const { minDelta } = this.#monitor;
    let reference: Judged | undefined;
    let without = 0;
    for (const next of this.#done) {
      if (reference === undefined || next.accuracy > reference.accuracy + minDelta) {
        reference = next;
        without = 0;
      } else if (next.step >= this.#slowSteps) without += 1;
    }
    return { reference, without };
  }

  #dropFrom(step: number): void {
    while (this.#done.length > 0 && this.#done.at(-1)!.step >= step) this.#done.pop();
  }
}
