import { Command, Option } from 'commander';
import type { Diagnostics } from '../diagnostics/measured.js';
import { cacheOption, checkpointOption, integer, libraryOptions, type CacheOption } from './options.js';
import { collapseAlarms } from '../report/watch/collapseAlarms.js';
import { StatusLine } from './statusLine.js';
import { formatTable } from './table.js';

type Flags = CacheOption & {
  readonly checkpoint?: string;
  readonly source?: string;
  readonly batches?: number;
};

export function diagnoseCommand(): Command {
  return new Command('diagnose')
    .description(
      'gradient norms of the widths, how far their gradients agree, and how their embeddings are spread, at a ' +
        'checkpoint of a run; into results/diagnostics.json',
    )
    .argument('<run>', 'folder of a run')
    .addOption(
      new Option(
        '--batches <count>',
        'training steps to average over, an integer >= 1 (default: 8)',
      ).argParser(integer(1)),
    )
    .option('--source <source>', 'where the images of the run are now (default: where they were)')
    .addOption(checkpointOption())
    .addOption(cacheOption())
    .action(async (run: string, flags: Flags) => {
      const { diagnose } = await import('../evaluation/diagnose.js');
      const status = new StatusLine();
      const onProgress = (message: string) => status.show(message);
      const onNotice = (line: string) => status.print(line);
      const { diagnostics, ...measured } = await diagnose(run, {
        ...libraryOptions(flags),
        onProgress,
        onNotice,
      });
      status.clear();
      console.log(
        `${measured.checkpoint}, mean of ${measured.batches} steps of ${measured.batchImages} images of ` +
          `${measured.source}`,
      );
      console.log(diagnosticsTables(diagnostics).join('\n'));
      for (const alarm of collapseAlarms(diagnostics.features)) console.error(alarm);
    });
}

/** Tables, each with a heading: norms of the gradients, their cosines, statistics of the embeddings; age of the queue. */
export function diagnosticsTables({ gradientNorms, cosines, features, queueAge }: Diagnostics): string[] {
  const tables = [
    `\nL2 norm of the gradient, mean over the weight tensors\n${normTable(gradientNorms)}`,
    ...(cosines.length > 0
      ? [`\ncosine between the gradients of two widths, on the weights of both\n${cosineTable(cosines)}`]
      : []),
    ...(features ? [`\nembeddings\n${featureTable(features)}`] : []),
  ];
  if (queueAge) {
    tables.push(`\nqueue: entries ${queueAge.mean.toFixed(1)} steps old on average, at most ${queueAge.max}`);
  }
  return tables.map((table) => table.trimEnd());
}

function normTable(norms: Diagnostics['gradientNorms']): string {
  const cell = (x: number | null) => (x === null ? '-' : x.toPrecision(3));
  return formatTable([
    ['width', 'its weights', 'the rest', 'rest / its'],
    ...Object.entries(norms).map(([label, { region, rest, ratio }]) => [
      label.slice(1),
      cell(region),
      cell(rest),
      cell(ratio),
    ]),
  ]);
}

/** A row for each wide width, a column for each narrow one. */
function cosineTable(cosines: Diagnostics['cosines']): string {
  const [wide, narrow] = [new Set(cosines.map((c) => c.wide)), new Set(cosines.map((c) => c.narrow))];
  const cell = (row: string, column: string) =>
    cosines.find((c) => c.wide === row && c.narrow === column)?.cosine.toFixed(3) ?? '';
  return formatTable([
    ['width', ...[...narrow].map((label) => label.slice(1))],
    ...[...wide].map((row) => [row.slice(1), ...[...narrow].map((column) => cell(row, column))]),
  ]);
}

function featureTable(features: NonNullable<Diagnostics['features']>): string {
  return formatTable([
    ['width', 'alignment', 'uniformity', 'std'],
    ...Object.entries(features).map(([label, { alignment, uniformity, std }]) => [
      label.slice(1),
      ...[alignment, uniformity, std].map((x) => x.toFixed(3)),
    ]),
  ]);
}
