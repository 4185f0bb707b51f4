import { counted } from '../counted.js';
import { formatDuration } from '../report/duration.js';
import { slimStartEpoch } from '../config/techniques.js';
import { collapseAlarms } from '../report/watch/collapseAlarms.js';
import { RecentSteps } from '../report/watch/recentSteps.js';
import { formatSpeed, termName } from '../report/watch/words.js';
import type { TrainingEvent } from '../training/events.js';

type StartEvent = Extract<TrainingEvent, { type: 'start' }>;
type KnnEvent = Extract<TrainingEvent, { type: 'knn' }>;
type DiagnosticsEvent = Extract<TrainingEvent, { type: 'diagnostics' }>;
type StepEvent = Extract<TrainingEvent, { type: 'step' }>;

/** Follows the events of a training run and words how far it is. */
export class TrainingProgress {
  readonly #steps: RecentSteps;

  constructor(private readonly start: StartEvent) {
    this.#steps = new RecentSteps(start);
  }

  record(event: StepEvent): void {
    this.#steps.record(event);
  }

  /** What is about to be trained, in one line. */
  opening(): string {
    const { config, images, step, stepsPerEpoch } = this.start;
    const { encoder, widths, data, epochs, techniques } = config;
    const slowStart =
      this.#steps.slimStart > 0
        ? `, sub-networks from epoch ${slimStartEpoch(techniques.slowStart) + 1}`
        : '';
    const from = step > 0 ? `, going on after step ${step}` : '';
    return (
      `training ${encoder.name} at widths ${widths.join(', ')} on ${images} images of ${data.source}: ` +
      `${epochs} epochs of ${stepsPerEpoch} steps${slowStart}${from}`
    );
  }

  /**
   * e.g. `epoch 3/8  step 412/1248  InfoNCE w1.00 5.91 w0.50 6.02  843 images/s  3 min 10 s left`; `~` marks a time
   * left that rests on a phase that has not begun. Empty before the first step.
   */
  line(): string {
    const steps = this.#steps;
    if (!steps.last) return '';
    const { epoch, step } = steps.last;
    const { term, means } = steps.losses()!;
    const losses = Object.entries(means).map(([label, mean]) => `${label} ${mean.toFixed(2)}`);
    return [
      `epoch ${epoch + 1}/${this.start.config.epochs}`,
      `step ${step + 1}/${steps.total}`,
      `${termName(term)} ${losses.join(' ')}`,
      ...(steps.overflows > 0 ? [`${counted(steps.overflows, 'step')} skipped (overflow)`] : []),
      `${formatSpeed(steps.imagesPerSecond()!)} images/s`,
      `${steps.isEstimated ? '~' : ''}${formatDuration(steps.secondsLeft()!)} left`,
    ].join('  ');
  }

  /** Seconds to the last step, from the latest steps of each phase; undefined before the first step. */
  secondsLeft(): number | undefined {
    return this.#steps.secondsLeft();
  }
}

/**
 * Time left of an ablation, before the state of one of its runs: what was left when the run began less the time since.
 * Empty where it is not known.
 */
export function allRunsLeft(secondsLeft: number | null, elapsed: number): string {
  return secondsLeft === null ? '' : `all runs ~${formatDuration(Math.max(secondsLeft - elapsed, 0))} left  `;
}

/** e.g. `epoch 5: kNN w1.00 41.2 w0.50 38.7 %` */
export function knnLine({ epoch, accuracies }: KnnEvent): string {
  const list = Object.entries(accuracies).map(([label, { top1 }]) => `${label} ${(100 * top1).toFixed(1)}`);
  return `epoch ${epoch + 1}: kNN ${list.join(' ')} %`;
}

/** What a person should know of diagnostics at once: widths whose embeddings collapsed. */
export function alarms({ step, diagnostics: { features } }: DiagnosticsEvent): string[] {
  return collapseAlarms(features).map((alarm) => `step ${step + 1}: ${alarm}`);
}
