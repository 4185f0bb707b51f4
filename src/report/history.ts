import type { LoggedEvent } from '../training/events.js';

type EventOf<Type extends LoggedEvent['type']> = Extract<LoggedEvent, { type: Type }>;
export type StepEvent = EventOf<'step'>;

/** A training run as its log tells it, over all the processes that a resumed run consists of. */
export interface History {
  /** The latest start; undefined when the log has none. */
  readonly start: EventOf<'start'> | undefined;
  /** In order, each step once: those that a resumed run did again count in their last version. */
  readonly steps: readonly StepEvent[];
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
  const skipped = new Map<string, EventOf<'skipped'>>();
  let seconds = 0;
  let processSeconds = 0;
  for (const event of events) {
    if (event.type === 'start') {
      seconds += processSeconds;
      start = event;
      stop = undefined;
      steps = steps.filter(({ step }) => step < event.step);
    }
    if (event.type === 'stop') stop = event;
    if (event.type === 'step') steps.push(event);
    if (event.type === 'skipped') skipped.set(event.path, event);
    if (start !== undefined) {
      processSeconds = stop?.seconds ?? (Date.parse(event.time) - Date.parse(start.time)) / 1000;
    }
  }
  return { start, stop, steps, skipped: [...skipped.values()], seconds: seconds + processSeconds };
}

/** Images of all steps over the time of all steps; undefined without steps or without a known batch size. */
export function imagesPerSecond(history: History): number | undefined {
  const { start, steps } = history;
  if (start === undefined || steps.length === 0) return undefined;
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  return (steps.length * start.config.batchSize) / seconds;
}
