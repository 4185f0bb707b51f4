import type { LoggedEvent } from './events.js';

/**
 * Format of `events.jsonl`, which each start says. Logs before it said none: accuracies of the kNN monitor were in
 * percent; since 2 they are shares.
 */
export const logFormat = 2;

/** Converts the events of a log, given in their order, to the format of today. */
export function logUpgrade(): (event: LoggedEvent) => LoggedEvent {
  let format: number = logFormat;
  return (event) => {
    if (event.type === 'start') format = event.format;
    if (event.type !== 'knn' || format >= 2) return event;
    const shares = Object.entries(event.accuracies).map(([label, { top1, top5 }]) => [
      label,
      { top1: top1 / 100, top5: top5 / 100 },
    ]);
    return { ...event, accuracies: Object.fromEntries(shares) as typeof event.accuracies };
  };
}
