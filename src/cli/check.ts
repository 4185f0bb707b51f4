import { appendFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../errors.js';
import type { UpdateOptions } from '../check/options.js';
import { printable } from '../printable.js';
import { cacheOption, integer, libraryOptions, number, type CacheOption } from './options.js';
import { StatusLine } from './statusLine.js';
import { formatTable } from './table.js';

type Flags = Omit<UpdateOptions, 'cacheDirectory' | 'onProgress' | 'onNotice' | 'keepModels' | 'drop'> &
  CacheOption & {
    readonly against: string;
    readonly update?: true;
    readonly models: boolean;
    readonly maxDrop?: number;
    readonly lines: number;
    readonly json?: true;
    readonly markdown?: true;
    readonly junit?: string;
    readonly summary?: string;
  };

export function checkCommand(): Command {
  return new Command('check')
    .description(
      'compare exported models, or any ONNX models, with golden ones: structure, numbers, size, latency, accuracy; ' +
        'exit code 1 when something changed',
    )
    .argument('<models>', 'a run, a folder of exports or an ONNX model')
    .requiredOption('--against <golden>', 'folder that --update wrote, or older models')
    .option('--update', 'write the golden folder instead of comparing')
    .option('--no-models', 'with --update: without the models themselves (default: with them, for latency)')
    .option(
      '--images <source>',
      'images to run on, a data set or a folder (default: those of the golden folder, else of the run, else drawn ones)',
    )
    .option(
      '--inputs <folder>',
      'inputs to run on, each as <name>.npy (default: images where a model takes them)',
    )
    .option('--count <images>', 'how many images (default: 8)', integer(1))
    .option(
      '--size <pixels>',
      'side of the images, of a model that takes any (default: what its metadata say, else 224)',
      integer(1),
    )
    .option(
      '--mean <values>',
      'e.g. 0.5,0.5,0.5: how images are normalised (default: what the metadata say, else as for ImageNet)',
      list,
    )
    .option(
      '--std <values>',
      'the same for the division (default: what the metadata say, else as for ImageNet)',
      list,
    )
    .option(
      '--tolerance <value>',
      'largest difference of an output, relative to its largest element (default: that of --update, else by precision 1e-3, 1e-2 or 0.05)',
      bound,
    )
    .option(
      '--labelled <source>',
      'labelled images for kNN, a data set or a folder with one folder a class (default: no kNN)',
    )
    .option('--labels <file>', 'label file of them, CSV or JSON (default: the folders are the classes)')
    .option('--limit <count>', 'at most this many of them; 0: all (default: 2000)', integer(0))
    .option(
      '--features <output>',
      'the output that kNN takes (default: features, else the first that has a row of floats an image)',
    )
    .option('--max-drop <points>', 'points of kNN accuracy that a model may lose (default: 0.5)', bound)
    .option('--bytes-ratio <ratio>', 'how much larger a model may be, e.g. 1.1 (default: 1.01)', bound)
    .option('--latency-ratio <ratio>', 'how much slower a model may be, e.g. 1.5 (default: 1.25)', bound)
    .option('--no-latency', 'do not measure latency (default: both models in turns)')
    .option('--threads <count>', 'of a model; 0: one a core (default: 1)', integer(0))
    .option('--lines <count>', 'lines to show of each check that differs; 0 shows all', integer(0), 20)
    .addOption(
      new Option('--json', 'print the result as JSON instead of a table').conflicts(['markdown', 'update']),
    )
    .addOption(
      new Option('--markdown', 'print the result as Markdown instead of a table').conflicts('update'),
    )
    .addOption(
      new Option('--junit <file>', 'also write the result as JUnit XML (default: no)').conflicts('update'),
    )
    .addOption(
      new Option(
        '--summary <file>',
        'also append the result to a file as Markdown, such as $GITHUB_STEP_SUMMARY (default: no)',
      ).conflicts('update'),
    )
    .addOption(cacheOption())
    .action(check);
}

async function check(
  subject: string,
  { against, update, models, lines, json, markdown, junit, summary, ...flags }: Flags,
): Promise<void> {
  const status = new StatusLine();
  const { maxDrop, ...others } = flags;
  const options: UpdateOptions = {
    ...libraryOptions(others),
    ...(maxDrop !== undefined && { drop: maxDrop }),
    onProgress: (message: string) => status.show(message),
    onNotice: (line: string) => status.print(line),
  };
  if (update) {
    const { updateGoldenModels } = await import('../check/update.js');
    const { written, removed } = await updateGoldenModels(subject, against, {
      ...options,
      keepModels: models,
    });
    status.clear();
    console.log(`${against}: files written: ${written.length}, removed: ${removed.length}`);
    return;
  }
  if (!models) throw new UsageError('--no-models is about a golden folder; accepted: together with --update');
  const { checkModels } = await import('../check/check.js');
  const { checkDetails, checkSummary, checkTable } = await import('../check/render.js');
  const result = await checkModels(subject, against, options);
  status.clear();
  if (junit !== undefined) {
    const { checkJunit } = await import('../check/junit.js');
    const { replaceFile } = await import('../replaceFile.js');
    await replaceFile(junit, checkJunit(result));
  }
  const { checkMarkdown } = await import('../check/markdown.js');
  if (summary !== undefined) await appendFile(summary, checkMarkdown(result, lines));
  if (json) console.log(JSON.stringify(result, null, 2));
  else if (markdown) process.stdout.write(checkMarkdown(result, lines));
  else {
    process.stdout.write(formatTable(checkTable(result)));
    for (const line of checkDetails(result, lines)) console.log(printable(line));
    const verdict = result.passed ? '' : '; --update accepts the new models';
    console.log(`${checkSummary(result)}${verdict}`);
  }
  if (!result.passed) process.exitCode = 1;
}

/** Parser of a number that is not negative. */
function bound(text: string): number {
  const value = number(text);
  if (value >= 0) return value;
  throw new InvalidArgumentError('Accepted: a number >= 0.');
}

/** Parser of three numbers, or one for images without colour. */
function list(text: string): number[] {
  const values = text.split(',').map(number);
  if (values.length === 3 || values.length === 1) return values;
  throw new InvalidArgumentError('Accepted: three numbers with commas between them, or one.');
}
