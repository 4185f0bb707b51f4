import { differenceOf } from './difference.js';
import { runOn } from './runOn.js';
import type { Runtime } from './runtimes.js';
import type { Subject } from './subject.js';

/** What came of a model on a runtime. */
export interface Verdict {
  readonly version: string | null;
  readonly isRight: boolean;
  readonly message: string;
  /** For the table. */
  readonly cell: string;
}

/**
 * Largest difference that a runtime may have, relative to the largest output: float32 sums in another order, and
 * Winograd's convolutions.
 */
const tolerance = 1e-3;
/** Half precision in between; activations of 8 bits, where one step of rounding is judged by the direction. */
const toleranceOfHalf = 2e-2;
const leastCosineOfBytes = 0.98;

/** Runs a model on a runtime. One that needs what the runtime lacks is right whatever comes of it. */
export async function testedOn(runtime: Runtime, interpreter: string, subject: Subject): Promise<Verdict> {
  const [, lack] = Object.entries(runtime.lacks ?? {}).find(([part]) => subject.name.includes(part)) ?? [];
  try {
    const { version, outputs } = await runOn(interpreter, runtime.module, subject);
    const { largest, cosine } = differenceOf(outputs, subject.expected);
    const isBytes = subject.name.includes('.int8');
    const limit = subject.name.includes('.fp16') ? toleranceOfHalf : tolerance;
    const isClose = isBytes ? cosine >= leastCosineOfBytes : largest <= limit;
    const number = isBytes ? `cosine ${cosine.toFixed(4)}` : largest.toExponential(1);
    const message = `largest error ${largest.toExponential(1)}, cosine ${cosine.toFixed(7)}`;
    const cell = isClose || lack === undefined ? number : `${number}: ${lack}`;
    return { version, isRight: isClose || lack !== undefined, message, cell };
  } catch (error) {
    const { message } = error as Error;
    return { version: null, isRight: lack !== undefined, message, cell: lack ?? 'refused' };
  }
}
