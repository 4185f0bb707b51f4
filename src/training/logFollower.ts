import { openPlainFile } from '../plainFile.js';
import { parseEvent } from './eventLog.js';
import { logUpgrade } from './logFormat.js';
import { SlimclrError } from '../errors.js';
import type { LoggedEvent } from './events.js';

/** Bytes that are read at a time, and that a line may have. */
const chunkBytes = 2 ** 20;
const maxLineBytes = 2 ** 26;
/** Of the steps that were there before the first reading, only those in so many last bytes are told. */
const recentBytes = 2 ** 21;
/** Bytes of a line within which its type stands. */
const headBytes = 96;
const newline = 0x0a;
const stepMark = Buffer.from('"type":"step"');

export interface FollowedLog {
  readonly onEvent: (event: LoggedEvent) => void;
  /** Told before the events of a log that has taken the place of the one before: a run that has begun anew. */
  readonly onReplaced: () => void;
}

/**
 * Reads the log of a run while it grows, by itself or over a network: each call of `poll` tells the events whose lines
 * are complete since the one before. Lines that are no events are passed over, a torn one is read when it is whole.
 * Of the steps before the first call only the latest are told.
 */
export class LogFollower {
  /** Where the next line begins. */
  #offset = 0;
  #identity = '';
  #upgrade = logUpgrade();

  constructor(
    private readonly path: string,
    private readonly log: FollowedLog,
  ) {}

  /** Whether there was anything new. Throws the system's error for a log that is not there, and a SlimclrError for what is no file. */
  async poll(): Promise<boolean> {
    const file = await openPlainFile(this.path);
    try {
      const { dev, ino, size } = await file.stat();
      const identity = `${dev}:${ino}`;
      const isFirst = this.#identity === '';
      const isReplaced = !isFirst && (identity !== this.#identity || size < this.#offset);
      if (isReplaced) {
        this.#offset = 0;
        this.#upgrade = logUpgrade();
        this.log.onReplaced();
      }
      this.#identity = identity;
      const began = this.#offset;
      const stepsFrom = began === 0 ? size - recentBytes : 0;
      let chunk = Buffer.allocUnsafe(Math.min(chunkBytes, Math.max(size - began, 1)));
      while (this.#offset < size) {
        const { bytesRead } = await file.read(
          chunk,
          0,
          Math.min(chunk.length, size - this.#offset),
          this.#offset,
        );
        const bytes = chunk.subarray(0, bytesRead);
        const end = bytes.lastIndexOf(newline) + 1;
        if (end > 0) this.#lines(bytes.subarray(0, end), stepsFrom - this.#offset);
        else if (this.#offset + bytesRead >= size || bytesRead === 0) break;
        else if (chunk.length >= maxLineBytes) this.#offset += bytesRead;
        else chunk = Buffer.allocUnsafe(2 * chunk.length);
        this.#offset += end;
      }
      return isReplaced || this.#offset > began;
    } finally {
      await file.close();
    }
  }

  /** Whole lines. Steps that begin before `stepsFrom` are passed over. */
  #lines(bytes: Buffer, stepsFrom: number): void {
    for (let from = 0; from < bytes.length;) {
      const to = bytes.indexOf(newline, from);
      const line = bytes.subarray(from, to);
      const isOld = from < stepsFrom && line.subarray(0, headBytes).includes(stepMark);
      if (line.length > 0 && !isOld) this.#line(line.toString('utf8'));
      from = to + 1;
    }
  }

  #line(text: string): void {
    let event: LoggedEvent;
    try {
      event = this.#upgrade(parseEvent(text));
    } catch (error) {
      if (error instanceof SlimclrError) return;
      throw error;
    }
    this.log.onEvent(event);
  }
}
