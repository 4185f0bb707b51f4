import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoggedEvent, TrainingEvent } from './events.js';

/**
 * Appends events to `events.jsonl` of a run folder, one JSON object a line. A line is written at once, so a
 * killed process loses at most the line it was writing; a log that ends in such a torn line is continued on a
 * new one.
 */
export class EventLog {
  readonly #path: string;

  constructor(runFolder: string) {
    this.#path = join(runFolder, 'events.jsonl');
    if (existsSync(this.#path) && !/(^|\n)$/.test(readFileSync(this.#path, 'utf8').slice(-1))) {
      appendFileSync(this.#path, '\n');
    }
  }

  write(event: TrainingEvent): void {
    const logged: LoggedEvent = { time: new Date().toISOString(), ...event };
    appendFileSync(this.#path, `${JSON.stringify(logged)}\n`);
  }
}
