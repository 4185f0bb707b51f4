import { koffi } from '../../koffi.js';

/** PR_SET_PDEATHSIG of Linux, and SIGKILL. */
const [parentDeathSignal, kill] = [1, 9];

/**
 * Makes a call that blocks this thread until others do the same, so that nothing else can tell it that its `parent` has
 * ended: when that does, the system ends this process, too. A launcher that ends all ranks ends their parents only, and
 * waits for whoever still has what it gave them. Linux only.
 */
export function endingWithParent<T>(parent: number, call: () => T): T {
  const prctl = koffi()
    .load(null)
    .func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)') as (
    option: number,
    ...values: readonly [number, number, number, number]
  ) => number;
  prctl(parentDeathSignal, kill, 0, 0, 0);
  // It had ended before.
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
  try {
    return call();
  } finally {
    prctl(parentDeathSignal, 0, 0, 0, 0);
  }
}
