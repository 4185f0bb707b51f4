import { constants } from 'node:os';

type StopSignal = 'SIGINT' | 'SIGTERM';
const stopSignals: readonly StopSignal[] = ['SIGINT', 'SIGTERM'];

/** A wish to stop that came as a signal: Ctrl-C, or what a container or batch system sends. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** 128 + number of the signal that came, the convention of shells; 0 when none came. */
  readonly exitCode: number;
  /** Gives signals their usual effect back. */
  stop(): void;
}

/** The first signal aborts and calls `onFirst`; the second ends the process at once. */
export function abortOnSignals(onFirst: (signal: StopSignal) => void): Interruption {
  const controller = new AbortController();
  let exitCode = 0;
  const stop = () => {
    for (const name of stopSignals) process.off(name, handle);
  };
  const handle = (name: StopSignal) => {
    // The signal's own effect, from now on: process.exit would wait for the threads of ONNX Runtime.
    stop();
    exitCode = 128 + constants.signals[name];
    controller.abort();
    onFirst(name);
  };
  for (const name of stopSignals) process.on(name, handle);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    stop,
  };
}
