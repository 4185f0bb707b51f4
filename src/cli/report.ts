import { Command } from 'commander';
import { cacheOption, libraryOptions, type CacheOption } from './options.js';
import { StatusLine } from './statusLine.js';

export function reportCommand(): Command {
  return new Command('report')
    .description('write report.html into a run folder and print the summary table')
    .argument('<run>', 'folder of a run')
    .addOption(cacheOption())
    .action(async (folder: string, flags: CacheOption) => {
      const { readRun } = await import('../report/run.js');
      const { summaryTable } = await import('../report/table.js');
      const { writeReport } = await import('../report/report.js');
      const run = await readRun(folder);
      const status = new StatusLine();
      status.show('reading the images of the run');
      const file = await writeReport(folder, libraryOptions(flags)).finally(() => status.clear());
      process.stdout.write(`${summaryTable(run)}\n`);
      for (const note of run.notes) console.log(note);
      console.log(`report: ${file}`);
    });
}
