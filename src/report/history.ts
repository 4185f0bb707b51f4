import type { Config } from '../config/schema.js';
import type { DiagnosticsResult } from '../evaluation/results.js';
import type { LoggedEvent } from '../training/events.js';

type EventOf<Type extends LoggedEvent['type']> = Extract<LoggedEvent, { type: Type }>;
export type StepEvent = EventOf<'step'>;
export type KnnEvent = EventOf<'knn'>;
/** Gradients and features at a step. */
export type Measurement = Pick<EventOf<'diagnostics'>, 'step' | 'diagnostics'>;

/**
 * A training run as its log tells it, over all the processes that a resumed run consists of. What a resumed run
 * did again counts in its last version.
 */
export interface History {
  /** The latest start; undefined when the log has none. */
  readonly start: EventOf<'start'> | undefined;
  /** In order. */
  readonly steps: readonly StepEvent[];
  /** What the kNN monitor found, in order. */
  readonly knn: readonly KnnEvent[];
  /** In order. */
  readonly diagnostics: readonly Measurement[];
  readonly skipped: readonly EventOf<'skipped'>[];
  /** How the latest process ended; undefined while it runs and when it was killed. */
  readonly stop: EventOf<'stop'> | undefined;
  /** Wall time of all processes; one without a stop counts up to its last event. */
  readonly seconds: number;
}

export function trainingHistory(events: readonly LoggedEvent[]): History {
  let start: EventOf<'start'> | undefined;
  let stop: EventOf<'stop'> | undefined;
  let steps: StepEvent[] = [];
  let diagnostics: Measurement[] = [];
  let knn: KnnEvent[] = [];
  const skipped = new Map<string, EventOf<'skipped'>>();
  let seconds = 0;
  let processSeconds = 0;
  for (const event of events) {
    switch (event.type) {
      case 'start': {
        const isBefore = ({ step }: { step: number }) => step < event.step;
        seconds += processSeconds;
        start = event;
        stop = undefined;
        steps = steps.filter(isBefore);
        diagnostics = diagnostics.filter(isBefore);
        knn = knn.filter(isBefore);
        break;
      }
      case 'step':
        steps.push(event);
        break;
      case 'diagnostics':
        diagnostics.push(event);
        break;
      case 'knn':
        knn.push(event);
        break;
      case 'skipped':
        skipped.set(event.path, event);
        break;
      case 'stop':
        stop = event;
        break;
    }
    if (start !== undefined) {
      processSeconds = stop?.seconds ?? (Date.parse(event.time) - Date.parse(start.time)) / 1000;
    }
  }
  return {
    start,
    steps,
    knn,
    diagnostics,
    skipped: [...skipped.values()],
    stop,
    seconds: seconds + processSeconds,
  };
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
export function imagesPerSecond({ start, steps }: History): number | undefined {
  if (start === undefined || steps.length === 0) return undefined;
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  return (steps.length * imagesPerStep(start.config)) / seconds;
}
