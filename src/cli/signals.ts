import { constants } from 'node:os';

type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';
/** Ctrl-C, what a container or batch system sends, what a closed terminal sends. */
const stopSignals: readonly StopSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Milliseconds in which the same signal again is the first one's echo: npm passes on what the terminal has sent to its
 * child as well.
 */
const echo = 250;

/** A wish to stop that came as a signal. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** 128 + number of the signal that came, the convention of shells; 0 when none came. */
  readonly exitCode: number;
  /** Gives signals their usual effect back. */
  stop(): void;
  /** Lets the process end as its signal wants it, when all else is done. */
  end(): void;
}

/**
 * The first signal aborts and calls `onFirst`; the second ends the process at once. A closed terminal, which may say so
 * more than once, is no second one.
 */
export function abortOnSignals(onFirst: (signal: StopSignal) => void): Interruption {
  const controller = new AbortController();
  let exitCode = 0;
  let came = 0;
  const stop = () => {
    for (const name of stopSignals) process.off(name, handle);
  };
  const handle = (name: StopSignal) => {
    const now = performance.now();
    if (!controller.signal.aborted) {
      came = now;
      exitCode = 128 + constants.signals[name];
      controller.abort();
      onFirst(name);
    } else if (name !== 'SIGHUP' && now - came > echo) {
      // The signal's own effect: process.exit would wait for the threads of ONNX Runtime.
      stop();
      // To the first process of a container signals have no effect of their own.
      if (process.pid === 1) process.exit(128 + constants.signals[name]);
      process.kill(process.pid, name);
    }
  };
  for (const name of stopSignals) process.on(name, handle);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    stop,
    end() {
      process.exitCode = exitCode;
      // Node aborts when it cannot give a terminal its settings back because it has been closed.
      const inTerminal = [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY);
      if (exitCode === 128 + constants.signals.SIGHUP && inTerminal) process.kill(process.pid, 'SIGHUP');
    },
  };
}

/** Calls `ask` at each SIGUSR1, which batch systems send before a time limit. Gives its usual effect back when called. */
export function onCheckpointSignal(ask: () => void): () => void {
  // Windows has no such signal.
  if (process.platform === 'win32') return () => {};
  process.on('SIGUSR1', ask);
  return () => process.off('SIGUSR1', ask);
}
