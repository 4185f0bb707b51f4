import { counted } from '../counted.js';
import { formatDuration } from '../report/duration.js';
import { slimStartEpoch } from '../config/techniques.js';
import { collapsed } from '../diagnostics/featureStatistics.js';
import type { Diagnostics } from '../diagnostics/measured.js';
import type { TrainingEvent } from '../training/events.js';

type StartEvent = Extract<TrainingEvent, { type: 'start' }>;
type KnnEvent = Extract<TrainingEvent, { type: 'knn' }>;
type DiagnosticsEvent = Extract<TrainingEvent, { type: 'diagnostics' }>;
type StepEvent = Extract<TrainingEvent, { type: 'step' }>;

/** Steps that speed, losses and the time left are averaged over. */
const recentSteps = 50;

/** How the methods' own losses are called. */
const termNames: Readonly<Record<string, string>> = {
  info_nce: 'InfoNCE',
  nt_xent: 'NT-Xent',
  cross_entropy: 'cross entropy',
  seed: 'SEED',
};

/** Follows the events of a training run and words how far it is. */
export class TrainingProgress {
  readonly #stepsPerEpoch: number;
  readonly #total: number;
  /** First step that trains all widths: the steps before it are cheaper. */
  readonly #slimStart: number;
  /** The latest steps of each phase, oldest first. */
  readonly #recent = { slowStart: [] as StepEvent[], slim: [] as StepEvent[] };
  #last: StepEvent | undefined;
  /** Steps skipped for an overflow since this process began. */
  #overflows = 0;

  constructor(private readonly start: StartEvent) {
    const { config, stepsPerEpoch } = start;
    this.#stepsPerEpoch = stepsPerEpoch;
    this.#total = config.epochs * stepsPerEpoch;
    this.#slimStart =
      config.widths.length > 1 ? slimStartEpoch(config.techniques.slowStart) * stepsPerEpoch : 0;
  }

  record(event: StepEvent): void {
    const recent = this.#phaseOf(event);
    recent.push(event);
    if (recent.length > recentSteps) recent.shift();
    this.#last = event;
    if (event.overflow) this.#overflows += 1;
  }

  /** What is about to be trained, in one line. */
  opening(): string {
    const { config, images, step } = this.start;
    const { encoder, widths, data, epochs, techniques } = config;
    const slowStart =
      this.#slimStart > 0 ? `, sub-networks from epoch ${slimStartEpoch(techniques.slowStart) + 1}` : '';
    const from = step > 0 ? `, going on after step ${step}` : '';
    return (
      `training ${encoder.name} at widths ${widths.join(', ')} on ${images} images of ${data.source}: ` +
      `${epochs} epochs of ${this.#stepsPerEpoch} steps${slowStart}${from}`
    );
  }

  /**
   * e.g. `epoch 3/8  step 412/1248  InfoNCE w1.00 5.91 w0.50 6.02  843 images/s  3 min 10 s left`; `~` marks a time
   * left that rests on a phase that has not begun. Empty before the first step.
   */
  line(): string {
    if (!this.#last) return '';
    const { config, labels } = this.start;
    const { epoch, step, losses } = this.#last;
    const recent = this.#phaseOf(this.#last);
    const finite = (values: readonly number[]) => values.filter(Number.isFinite);
    // The method's own loss, the one term that is no distillation.
    const own = Object.keys(losses[labels[0]!]!.terms)[0]!;
    const means = labels
      .filter((label) => label in losses)
      .map(
        (label) =>
          `${label} ${mean(finite(recent.map((event) => event.losses[label]!.terms[own]!))).toFixed(2)}`,
      );
    const speed = (config.batchSize * config.accumulation) / mean(recent.map(({ seconds }) => seconds));
    const estimated = step < this.#slimStart;
    return [
      `epoch ${epoch + 1}/${config.epochs}`,
      `step ${step + 1}/${this.#total}`,
      `${termNames[own] ?? own} ${means.join(' ')}`,
      ...(this.#overflows > 0 ? [`${counted(this.#overflows, 'step')} skipped (overflow)`] : []),
      `${speed >= 10 ? speed.toFixed(0) : speed.toPrecision(2)} images/s`,
      `${estimated ? '~' : ''}${formatDuration(this.secondsLeft()!)} left`,
    ].join('  ');
  }

  /** Seconds to the last step, from the latest steps of each phase; undefined before the first step. */
  secondsLeft(): number | undefined {
    if (!this.#last) return undefined;
    const done = this.#last.step + 1;
    const slowStartLeft = Math.max(this.#slimStart - done, 0);
    const slimLeft = this.#total - done - slowStartLeft;
    const { slowStart, slim } = this.#recent;
    const slowStartSeconds = mean(slowStart.map(({ seconds }) => seconds));
    const slimSeconds =
      slim.length > 0 ? mean(slim.map(({ seconds }) => seconds)) : slowStartSeconds * this.#slimCost();
    return (slowStartLeft > 0 ? slowStartLeft * slowStartSeconds : 0) + slimLeft * slimSeconds;
  }

  /**
   * Time of a step of all widths over that of a slow-start step: the key encoder runs forward, each query encoder
   * forward and backward, twice the work. A narrow one takes time nearer to its width than to its square.
   */
  #slimCost(): number {
    const widths = this.start.config.widths.reduce((sum, width) => sum + width, 0);
    return (1 + 3 * widths) / (1 + 3);
  }

  #phaseOf({ step }: StepEvent): StepEvent[] {
    return step < this.#slimStart ? this.#recent.slowStart : this.#recent.slim;
  }
}

/**
 * Time left of an ablation, before the state of one of its runs: what was left when the run began less the time since.
 * Empty where it is not known.
 */
export function allRunsLeft(secondsLeft: number | null, elapsed: number): string {
  return secondsLeft === null ? '' : `all runs ~${formatDuration(Math.max(secondsLeft - elapsed, 0))} left  `;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
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

/** One line for each width whose embeddings collapsed. */
export function collapseAlarms(features: Diagnostics['features'] = {}): string[] {
  return collapsed(features).map(
    (label) =>
      `the embeddings of ${label} are nearly the same for all images (collapse): ` +
      `normalised standard deviation ${features[label]!.std.toPrecision(2)}, 1 is best`,
  );
}
