import { Command } from 'commander';

export function reportCommand(): Command {
  return new Command('report')
    .description('write report.html into a run folder and print the summary table')
    .argument('<run>', 'folder of a run')
    .action(async (folder: string) => {
      const { readRun } = await import('../report/run.js');
      const { summaryTable } = await import('../report/table.js');
      const { writeReport } = await import('../report/report.js');
      const file = await writeReport(folder);
      const run = await readRun(folder);
      process.stdout.write(`${summaryTable(run)}\n`);
      for (const note of run.notes) console.log(note);
      console.log(`report: ${file}`);
    });
}
