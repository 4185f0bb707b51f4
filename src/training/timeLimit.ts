/** Why a training is told to stop: its time is up. */
export class TimeLimit extends Error {
  override name = 'TimeLimit';
}

/** What a training that stops ends with, by the reason of the signal that told it to. */
export function stopReason({ reason }: AbortSignal): 'interrupted' | 'time-limit' {
  return reason instanceof TimeLimit ? 'time-limit' : 'interrupted';
}

/** The longest time that a timer takes, in milliseconds. */
const longest = 2 ** 31 - 1;

/** Calls `onOver` when so many minutes are over, be they weeks. Calls off the wait when called. */
export function afterMinutes(minutes: number, onOver: () => void): () => void {
  const end = performance.now() + minutes * 60_000;
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    const left = end - performance.now();
    // A timer may be over a little early.
    if (left > 0) timer = setTimeout(wait, Math.min(left, longest));
    else onOver();
  };
  wait();
  return () => clearTimeout(timer);
}
