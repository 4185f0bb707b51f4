import { Command } from 'commander';
import { printable } from '../printable.js';
import { formatTable } from './table.js';

export function runsCommand(): Command {
  return new Command('runs')
    .description(
      'list the runs below a folder: state, progress, best accuracies in percent with their width, and the keys of the config in which they differ',
    )
    .argument('<folder>', 'folder with runs below it, or a run')
    .option('--json', 'print them as JSON (default: as a table)')
    .action(async (folder: string, { json }: { readonly json?: boolean }) => {
      const { listRuns } = await import('../report/runList/listRuns.js');
      const { runsTable } = await import('../report/runList/runsTable.js');
      const list = await listRuns(folder);
      if (json) return void process.stdout.write(`${JSON.stringify(list, null, 2)}\n`);
      if (list.runs.length === 0) console.log(`no run in ${printable(folder)}`);
      else process.stdout.write(formatTable(runsTable(list.runs)));
      const ofRuns = list.runs.flatMap(({ name, notes }) => notes.map((note) => `${name}: ${note}`));
      for (const note of [...ofRuns, ...list.notes]) console.log(printable(note));
    });
}
