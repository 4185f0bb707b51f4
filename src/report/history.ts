import type { Config } from '../config/schema.js';
import type { DiagnosticsResult } from '../evaluation/results.js';
import { readEvents, type LogReader } from '../training/eventLog.js';
import type { LoggedEvent } from '../training/events.js';
import { BestMeasurementsBuilder, type BestMeasurements } from './bestMeasurements.js';
import { EpochMeans, type EpochMean } from './epochMeans.js';
import { meanOfTwo, Thinned } from './thinned.js';

type EventOf<Type extends LoggedEvent['type']> = Extract<LoggedEvent, { type: Type }>;
export type StepEvent = EventOf<'step'>;
export type KnnEvent = EventOf<'knn'>;
/**
 * Gradients and features at a step.
 * @interface
 */
export type Measurement = Pick<EventOf<'diagnostics'>, 'step' | 'diagnostics'>;

/** What a history holds at most of each kind of event; more are thinned to means. A measurement is a large one. */
const kept = 2048;
const keptMeasurements = 512;

/**
 * A training run as its log tells it, over all the processes that a resumed run consists of. What a resumed run
 * did again counts in its last version. Long sequences are thinned (thinned.ts): the memory is bounded.
 */
export interface History {
  /** The latest start; undefined when the log has none. */
  readonly start: EventOf<'start'> | undefined;
  /** In order; means of several where there are many. The last one is what it was. */
  readonly steps: readonly StepEvent[];
  /** How many there were, and their seconds. */
  readonly stepCount: number;
  readonly stepSeconds: number;
  /** Steps that the optimiser did not make, for an overflow of float16. */
  readonly overflowCount: number;
  /** Losses by epoch, in order. */
  readonly epochs: readonly EpochMean[];
  /** What the kNN monitor found, in order. */
  readonly knn: readonly KnnEvent[];
  readonly best: BestMeasurements;
  /** Steps from which later processes went on, in order. */
  readonly resumed: readonly number[];
  /** In order. */
  readonly diagnostics: readonly Measurement[];
  readonly skipped: readonly EventOf<'skipped'>[];
  /** How the latest process ended; undefined while it runs and when it was killed. */
  readonly stop: EventOf<'stop'> | undefined;
  /** Wall time of all processes; one without a stop counts up to its last event. */
  readonly seconds: number;
}

/** The history of a log. `onDamage` is told of lines that are no events, as by `readEvents`. */
export async function readHistory(path: string, onDamage?: LogReader['onDamage']): Promise<History> {
  const starts: number[] = [];
  // The second reading ends where the first did: a run that goes on writes meanwhile.
  const size = await readEvents(path, {
    only: 'start',
    onEvent: (event) => event.type === 'start' && starts.push(event.step),
  });
  const history = new HistoryBuilder(starts);
  await readEvents(path, { size, onEvent: (event) => history.add(event), ...(onDamage && { onDamage }) });
  return history.build();
}

export function trainingHistory(events: readonly LoggedEvent[]): History {
  const history = new HistoryBuilder(events.flatMap((event) => (event.type === 'start' ? [event.step] : [])));
  for (const event of events) history.add(structuredClone(event));
  return history.build();
}

class HistoryBuilder {
  /** By process: the first step that a later one did again. The first is for what precedes all starts. */
  readonly #ends: readonly number[];
  #process = 0;
  #start: EventOf<'start'> | undefined;
  #stop: EventOf<'stop'> | undefined;
  readonly #steps = new Thinned<StepEvent>(kept, meanOfTwo);
  readonly #diagnostics = new Thinned<Measurement>(keptMeasurements, meanOfTwo);
  readonly #knn = new Thinned<KnnEvent>(kept, meanOfTwo);
  readonly #epochs = new EpochMeans();
  readonly #best = new BestMeasurementsBuilder();
  readonly #resumed: number[] = [];
  readonly #skipped = new Map<string, EventOf<'skipped'>>();
  #stepSeconds = 0;
  #overflowCount = 0;
  /** Of the processes before. */
  #seconds = 0;
  /** When the latest event was written. */
  #latest = '';

  /** `starts`: the steps from which the processes of the log went on, in their order. */
  constructor(starts: readonly number[]) {
    const ends = [Infinity];
    for (const step of starts.toReversed()) ends.push(Math.min(step, ends.at(-1)!));
    this.#ends = ends.reverse();
  }

  /** The event is the builder's from here on. */
  add(event: LoggedEvent): void {
    switch (event.type) {
      case 'start':
        if (this.#process > 0 && event.step > 0) this.#resumed.push(event.step);
        this.#process += 1;
        this.#seconds += this.#processSeconds();
        this.#start = event;
        this.#stop = undefined;
        break;
      case 'step':
        if (!this.#isLast(event)) break;
        this.#epochs.add(event.epoch, event.losses);
        this.#steps.push(event);
        this.#stepSeconds += event.seconds;
        if (event.overflow) this.#overflowCount += 1;
        break;
      case 'diagnostics':
        if (this.#isLast(event)) this.#diagnostics.push({ step: event.step, diagnostics: event.diagnostics });
        break;
      case 'knn':
        if (!this.#isLast(event)) break;
        this.#best.add(event);
        this.#knn.push(event);
        break;
      case 'skipped':
        this.#skipped.set(event.path, event);
        break;
      case 'stop':
        this.#stop = event;
        break;
    }
    this.#latest = event.time;
  }

  /** Whether no later process did the step again. */
  #isLast({ step }: { readonly step: number }): boolean {
    return step < this.#ends[this.#process]!;
  }

  /** Of the process whose events come now. */
  #processSeconds(): number {
    if (this.#start === undefined) return 0;
    if (this.#stop) return this.#stop.seconds;
    // Clocks are set back, too.
    return Math.max(0, Date.parse(this.#latest) - Date.parse(this.#start.time)) / 1000;
  }

  build(): History {
    return {
      start: this.#start,
      steps: this.#steps.items(),
      stepCount: this.#steps.length,
      stepSeconds: this.#stepSeconds,
      overflowCount: this.#overflowCount,
      epochs: this.#epochs.items(),
      knn: this.#knn.items(),
      best: this.#best.build(),
      resumed: this.#resumed,
      diagnostics: this.#diagnostics.items(),
      skipped: [...this.#skipped.values()],
      stop: this.#stop,
      seconds: this.#seconds + this.#processSeconds(),
    };
  }
}

/** The history with what `slimclr diagnose` measured at a checkpoint, in place of a measurement at that step. */
export function withDiagnosis(history: History, diagnosis: DiagnosticsResult | undefined): History {
  if (diagnosis === undefined) return history;
  const { step, diagnostics } = diagnosis;
  const others = history.diagnostics.filter((event) => event.step !== step);
  return { ...history, diagnostics: [...others, { step, diagnostics }].sort((a, b) => a.step - b.step) };
}

/** Images that one step trains on. */
export function imagesPerStep({ batchSize, accumulation }: Config): number {
  return batchSize * accumulation;
}

/** Images of all steps over the time of all steps; undefined without steps or without a known batch size. */
export function imagesPerSecond({ start, stepCount, stepSeconds }: History): number | undefined {
  if (start === undefined || stepCount === 0) return undefined;
  return (stepCount * imagesPerStep(start.config)) / stepSeconds;
}
