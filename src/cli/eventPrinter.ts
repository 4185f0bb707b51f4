import { printable } from '../printable.js';
import { formatDuration } from '../report/duration.js';
import type { TrainingEvent } from '../training/events.js';
import { alarms, knnLine, TrainingProgress } from './progress.js';
import type { StatusLine } from './statusLine.js';

/** Skipped files that are named on the terminal. */
const printedFiles = 20;

/**
 * Prints what happens in the run of a folder as it happens; `prefix` begins every line, `ahead` stands before the
 * state of training in the line that changes.
 */
export function eventPrinter(
  status: StatusLine,
  output: string,
  prefix = '',
  ahead = () => '',
): (event: TrainingEvent) => void {
  let progress: TrainingProgress | undefined;
  let skipped = 0;
  return (event) => {
    switch (event.type) {
      case 'start':
        progress = new TrainingProgress(event);
        return status.print(`${prefix}${progress.opening()}`);
      case 'skipped':
        if (++skipped > printedFiles + 1) return;
        return status.print(
          skipped > printedFiles
            ? `${prefix}skipped more files; events.jsonl names them all`
            : `${prefix}skipped ${printable(event.path)}: ${event.reason}`,
        );
      case 'step':
        progress!.record(event);
        return status.update(() => `${prefix}${ahead()}${progress!.line()}`);
      case 'knn':
        return status.print(`${prefix}${knnLine(event)}`);
      case 'diagnostics':
        for (const line of alarms(event)) status.print(`${prefix}${line}`);
        return;
      case 'checkpoint':
      case 'profile':
      case 'notice':
        // A notice is printed when it comes.
        return;
      case 'stop':
        if (event.reason === 'early') status.print(`${prefix}stopped early: ${event.message}`);
        // What else ends a run is said by what the process prints last.
        else if (event.reason !== 'done') return;
        return status.print(
          `${prefix}done after step ${event.step}, ${formatDuration(event.seconds)}: ${output}`,
        );
    }
  };
}
