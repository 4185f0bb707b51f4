import { appendFileSync, closeSync, lstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SlimclrError } from '../errors.js';
import { notPlain, openPlainFile } from '../plainFile.js';
import { checkJson, parseJson } from '../readJson.js';
import { eventSchema, isPlainStep, type LoggedEvent, type TrainingEvent } from './events.js';
import { logUpgrade } from './logFormat.js';

export const logFile = 'events.jsonl';

/** Bytes that are read at a time, and that a line may have: a longer one is no event. */
const chunkBytes = 2 ** 20;
const maxLineBytes = 2 ** 26;
const newline = 0x0a;

/**
 * Appends events to `events.jsonl` of a run folder, one JSON object a line. A line is written at once, so a
 * killed process loses at most the line it was writing; a log that ends in such a torn line is continued on a
 * new one. Throws a SlimclrError where the log is a link, which leads elsewhere, or no file.
 */
export class EventLog {
  readonly #path: string;

  constructor(runFolder: string) {
    this.#path = join(runFolder, logFile);
    if (endsInLine(this.#path)) appendFileSync(this.#path, '\n');
  }

  write(event: TrainingEvent): void {
    const logged: LoggedEvent = { time: new Date().toISOString(), ...event };
    appendFileSync(this.#path, `${JSON.stringify(logged)}\n`);
  }
}

/** Whether a file ends within a line; its last byte tells, however long the file is. Refuses what is no file. */
function endsInLine(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return false;
  if (!stat.isFile()) throw notPlain(path, stat.isSymbolicLink() ? 'a link' : 'no file');
  const file = openSync(path, 'r');
  try {
    const last = Buffer.alloc(1);
    return stat.size > 0 && readSync(file, last, 0, 1, stat.size - 1) === 1 && last[0] !== newline;
  } finally {
    closeSync(file);
  }
}

export interface LogReader {
  readonly onEvent: (event: LoggedEvent) => void;
  /** Told of a line that is no event: `Line 2`, `is torn`. A killed process leaves a torn one. */
  readonly onDamage?: (line: string, problem: string) => void;
  /** Only events of this type, or these, are read, which is cheaper. */
  readonly only?: LoggedEvent['type'] | readonly LoggedEvent['type'][];
  /** Read no further than this, in bytes. Default: to the end. */
  readonly size?: number;
}

/**
 * Reads the events of a log in their order, line by line, in memory that does not grow with the log. Gives the
 * bytes read. Throws a SlimclrError for what is no file, and the system's error for one that is not there.
 */
export async function readEvents(
  path: string,
  { onEvent, onDamage, only, size }: LogReader,
): Promise<number> {
  const upgrade = logUpgrade();
  const types = only === undefined ? undefined : [only].flat();
  const marks = types?.map((type) => Buffer.from(`"${type}"`));
  return readLines(path, size, (bytes, number, isLast) => {
    const damaged = (problem: string) => onDamage?.(isLast ? 'The last line' : `Line ${number}`, problem);
    if (bytes === null) return damaged(`is longer than ${maxLineBytes} bytes`);
    if (bytes.length === 0 || (marks && !marks.some((mark) => bytes.includes(mark)))) return;
    let event: LoggedEvent;
    try {
      event = upgrade(parseEvent(bytes.toString('utf8')));
    } catch (error) {
      if (!(error instanceof SlimclrError)) throw error;
      return damaged(
        error.message.startsWith(': not JSON') ? 'is torn' : `is no event (${error.message.slice(2)})`,
      );
    }
    if (types === undefined || types.includes(event.type)) onEvent(event);
  });
}

/** The event of a line. Throws a SlimclrError for what is none. */
export function parseEvent(line: string): LoggedEvent {
  const json = parseJson(line, z.unknown(), '');
  return isPlainStep(json) ? json : checkJson(json, eventSchema, '');
}

/** Tells the lines of a file, without what ends them; null stands for one that is too long. */
async function readLines(
  path: string,
  limit: number | undefined,
  onLine: (line: Buffer | null, number: number, isLast: boolean) => void,
): Promise<number> {
  const file = await openPlainFile(path);
  try {
    const size = Math.min((await file.stat()).size, limit ?? Infinity);
    const chunk = Buffer.allocUnsafe(chunkBytes);
    let started: Buffer[] = [];
    let length = 0;
    let number = 1;
    const end = (rest: Buffer, isLast: boolean) => {
      const tooLong = length + rest.length > maxLineBytes;
      onLine(tooLong ? null : length === 0 ? rest : Buffer.concat([...started, rest]), number, isLast);
      started = [];
      length = 0;
      number += 1;
    };
    let done = 0;
    while (done < size) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(chunkBytes, size - done), done);
      if (bytesRead === 0) break;
      done += bytesRead;
      let from = 0;
      for (let to = chunk.indexOf(newline); to >= 0 && to < bytesRead; to = chunk.indexOf(newline, from)) {
        end(chunk.subarray(from, to), false);
        from = to + 1;
      }
      length += bytesRead - from;
      if (length <= maxLineBytes) started.push(Buffer.from(chunk.subarray(from, bytesRead)));
      else started = [];
    }
    if (length > 0) end(Buffer.alloc(0), true);
    return done;
  } finally {
    await file.close();
  }
}
