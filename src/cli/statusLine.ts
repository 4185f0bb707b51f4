import { printableLines } from '../printable.js';
import { terminalColumns } from './terminal.js';

/** Milliseconds between two states: of a line that changes, and of lines in a log file. */
const terminalInterval = 100;
const logInterval = 5000;

/**
 * Progress on stderr, so that stdout holds results only: in a terminal one line that changes, elsewhere a
 * line every few seconds.
 */
export class StatusLine {
  readonly #terminal = process.stderr.isTTY;
  #next = 0;

  /** Shows the state that `text` words, unless the last one was shown just now. */
  update(text: () => string): void {
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + (this.#terminal ? terminalInterval : logInterval);
    this.show(text());
  }

  /** Shows a state; in a terminal the next one replaces it. */
  show(text: string): void {
    if (!this.#terminal) return this.print(text);
    // A line that wraps could not be replaced.
    const columns = terminalColumns(process.stderr, 1) ?? 80;
    const line = printableLines(text).slice(0, columns - 1);
    process.stderr.write(`\r\x1b[K${line}`);
  }

  /** A line that stays. */
  print(text: string): void {
    this.clear();
    process.stderr.write(`${printableLines(text)}\n`);
  }

  /** Removes the line that changes. */
  clear(): void {
    if (this.#terminal) process.stderr.write('\r\x1b[K');
  }
}
