import { Command, Option } from 'commander';
import { UsageError } from '../errors.js';
import type { RunSnapshot } from '../report/watch/snapshot.js';
import { positive } from './options.js';
import { terminalColumns } from './terminal.js';

interface Flags {
  readonly interval?: number;
  readonly once?: boolean;
  readonly json?: boolean;
}

/** Seconds between two states: in a terminal, and of lines in a log file. */
const terminalInterval = 2;
const logInterval = 60;
const narrowest = 40;

export function watchCommand(): Command {
  return new Command('watch')
    .description(
      'show what a run is doing, from its log alone, until it has ended: progress, losses, kNN, speed, memory; in a terminal in place, else a line now and then',
    )
    .argument('<run>', 'folder of a run, on this machine or on a share')
    .addOption(
      new Option(
        '--interval <seconds>',
        `between two looks (default: ${terminalInterval} in a terminal, else ${logInterval})`,
      ).argParser(positive),
    )
    .option('--once', 'show what it is doing now and end (default: until the run has ended)')
    .option('--json', 'the same as JSON, once (default: text)')
    .action(run);
}

async function run(folder: string, { interval, once, json }: Flags): Promise<void> {
  const { runSnapshot, watchRun } = await import('../report/watch/watchRun.js');
  const { snapshotLine, snapshotLines } = await import('../report/watch/snapshotText.js');
  if (json && interval !== undefined)
    throw new UsageError('--interval does not go with --json, which is one look');
  if (json) {
    console.log(JSON.stringify(await runSnapshot(folder), undefined, 2));
    return;
  }
  const { stdout } = process;
  // It may change its width.
  const terminal = () => terminalColumns(stdout, narrowest);
  // A line that ends at the edge could be followed by an empty one.
  const linesOf = (snapshot: RunSnapshot) => snapshotLines(snapshot, (terminal() ?? 81) - 1);
  if (once) {
    console.log(linesOf(await runSnapshot(folder)).join('\n'));
    return;
  }
  const seconds = interval ?? (terminal() ? terminalInterval : logInterval);
  let shown: readonly string[] = [];
  for await (const snapshot of watchRun(folder, { interval: seconds })) {
    const columns = terminal();
    if (columns === null) {
      console.log(`${new Date().toISOString()}  ${snapshotLine(snapshot)}`);
      shown = [];
      continue;
    }
    const lines = linesOf(snapshot).slice(0, stdout.rows - 1);
    // Back to the first line that was shown, which a terminal that is narrower now has broken, and from there anew.
    const rows = shown.reduce((sum, { length }) => sum + Math.max(1, Math.ceil(length / columns)), 0);
    stdout.write(`${rows > 0 ? `\x1b[${rows}A` : ''}\r\x1b[J${lines.join('\n')}\n`);
    shown = lines;
  }
}
