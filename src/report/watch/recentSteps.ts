import { slimStartEpoch } from '../../config/techniques.js';
import type { TrainingEvent } from '../../training/events.js';
import { imagesPerStep } from '../history.js';

type StartEvent = Extract<TrainingEvent, { type: 'start' }>;
type StepEvent = Extract<TrainingEvent, { type: 'step' }>;

/** Steps that speed, losses and the time left are averaged over. */
const recentSteps = 50;

/** The latest steps of a training: how far and how fast it is, and what is left. */
export class RecentSteps {
  /** Steps of the whole training. */
  readonly total: number;
  /** First step that trains all widths, 0 without a slow start: the steps before it are cheaper. */
  readonly slimStart: number;
  /** The latest steps of each phase, oldest first. */
  readonly #recent = { slowStart: [] as StepEvent[], slim: [] as StepEvent[] };
  #last: StepEvent | undefined;
  /** Steps skipped for an overflow since this process began. */
  overflows = 0;

  constructor(private readonly start: StartEvent) {
    const { config, stepsPerEpoch } = start;
    const { epochs, techniques, widths } = config;
    this.total = epochs * stepsPerEpoch;
    this.slimStart = widths.length > 1 ? slimStartEpoch(techniques.slowStart) * stepsPerEpoch : 0;
  }

  record(event: StepEvent): void {
    const recent = this.#phaseOf(event);
    recent.push(event);
    if (recent.length > recentSteps) recent.shift();
    this.#last = event;
    if (event.overflow) this.overflows += 1;
  }

  /** Undefined before the first step. */
  get last(): StepEvent | undefined {
    return this.#last;
  }

  /** The method's own loss, the one term that is no distillation, and its means by width label; null before the first step. */
  losses(): { readonly term: string; readonly means: Readonly<Record<string, number>> } | null {
    if (!this.#last) return null;
    const { labels } = this.start;
    const { losses } = this.#last;
    const recent = this.#phaseOf(this.#last);
    const term = Object.keys(losses[labels[0]!]!.terms)[0]!;
    const mean = (label: string) =>
      meanOf(recent.map((event) => event.losses[label]!.terms[term]!).filter(Number.isFinite));
    const trained = labels.filter((label) => label in losses);
    return { term, means: Object.fromEntries(trained.map((label) => [label, mean(label)])) };
  }

  /** Undefined before the first step. */
  imagesPerSecond(): number | undefined {
    if (!this.#last) return undefined;
    return imagesPerStep(this.start.config) / meanOf(secondsOf(this.#phaseOf(this.#last)));
  }

  /** Seconds to the last step, from the latest steps of each phase; undefined before the first step. */
  secondsLeft(): number | undefined {
    if (!this.#last) return undefined;
    const done = this.#last.step + 1;
    const slowStartLeft = Math.max(this.slimStart - done, 0);
    const slimLeft = this.total - done - slowStartLeft;
    const { slowStart, slim } = this.#recent;
    const slowStartSeconds = meanOf(secondsOf(slowStart));
    const slimSeconds = slim.length > 0 ? meanOf(secondsOf(slim)) : slowStartSeconds * this.#slimCost();
    return (slowStartLeft > 0 ? slowStartLeft * slowStartSeconds : 0) + slimLeft * slimSeconds;
  }

  /** Whether the time left rests on a phase that has not begun. */
  get isEstimated(): boolean {
    return this.#last !== undefined && this.#last.step < this.slimStart;
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
    return step < this.slimStart ? this.#recent.slowStart : this.#recent.slim;
  }
}

function secondsOf(steps: readonly StepEvent[]): number[] {
  return steps.map(({ seconds }) => seconds);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
