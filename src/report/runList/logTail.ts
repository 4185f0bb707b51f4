import { SlimclrError } from '../../errors.js';
import { openPlainFile } from '../../plainFile.js';
import { parseEvent } from '../../training/eventLog.js';
import type { LoggedEvent } from '../../training/events.js';

/** Bytes at the end of a log that are read, and, where no step is in them, those that are read instead. */
const tails = [2 ** 18, 2 ** 24];

type StepEvent = Extract<LoggedEvent, { type: 'step' }>;

/** The end of a log. */
export interface LogTail {
  /** The latest steps of the latest process, at most `count`, in order. */
  readonly steps: readonly StepEvent[];
  /** When the last event was written (ISO 8601); null without one. */
  readonly updated: string | null;
}

/** Reads the end of a log, however long it is. Lines that are no events are left out. */
export async function readTail(path: string, count: number): Promise<LogTail> {
  let tail: LogTail = { steps: [], updated: null };
  for (const bytes of tails) {
    const { lines, isWhole } = await lastLines(path, bytes);
    tail = tailOf(lines, count);
    if (tail.steps.length > 0 || isWhole) break;
  }
  return tail;
}

function tailOf(lines: readonly string[], count: number): LogTail {
  const steps: StepEvent[] = [];
  let updated: string | null = null;
  for (const line of lines.toReversed()) {
    const event = eventOf(line);
    if (!event) continue;
    updated ??= event.time;
    if (event.type === 'start' || steps.length === count) break;
    if (event.type === 'step') steps.push(event);
  }
  return { steps: steps.reverse(), updated };
}

function eventOf(line: string): LoggedEvent | null {
  try {
    return parseEvent(line);
  } catch (error) {
    if (error instanceof SlimclrError) return null;
    throw error;
  }
}

/** The lines in the last bytes of a file, without the one that begins before them. */
async function lastLines(path: string, bytes: number): Promise<{ lines: string[]; isWhole: boolean }> {
  const file = await openPlainFile(path);
  try {
    const { size } = await file.stat();
    const from = Math.max(size - bytes, 0);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    return { lines: from === 0 ? lines : lines.slice(1), isWhole: from === 0 };
  } finally {
    await file.close();
  }
}
