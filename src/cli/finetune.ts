import { Command, InvalidArgumentError, Option } from 'commander';
import { percent } from '../evaluation/resultFiles.js';
import { accuracyTable, addEvaluationOptions, testImagesText, type EvaluationFlags } from './evaluation.js';
import { integer, libraryOptions, number } from './options.js';
import { StatusLine } from './statusLine.js';

type Flags = EvaluationFlags & {
  readonly labels: number;
  readonly widths?: readonly number[];
  readonly epochs?: number;
  readonly encoderRate?: number;
  readonly classifierRate?: number;
  readonly batchSize?: number;
  readonly seed?: number;
};

export function finetuneCommand(): Command {
  const command = new Command('finetune')
    .description(
      'test accuracy of each width after fine-tuning on few labels; into results/finetune-<percent>.json',
    )
    .argument('<run>', 'folder of a run')
    .addOption(
      new Option(
        '--labels <share>',
        'labelled training images, as many of each class: a percentage such as 1%, or a fraction',
      )
        .argParser(share)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--widths <widths>', 'widths of the run, e.g. 1,0.5 (default: all of them)').argParser(
        (text) => text.split(',').map(number),
      ),
    )
    .addOption(new Option('--epochs <count>', 'an integer >= 1 (default: 50)').argParser(integer(1)))
    .addOption(
      new Option(
        '--encoder-rate <value>',
        "highest learning rate of the encoder's cosine schedule (default: 0.02)",
      ).argParser(number),
    )
    .addOption(
      new Option('--classifier-rate <value>', 'the same of the classifier (default: 0.2)').argParser(number),
    )
    .addOption(
      new Option('--batch-size <count>', 'images of one step, an integer >= 1 (default: 64)').argParser(
        integer(1),
      ),
    )
    .addOption(
      new Option(
        '--seed <seed>',
        'of the labelled images and their order, an integer >= 0 (default: that of the run)',
      ).argParser(integer(0)),
    );
  return addEvaluationOptions(command).action(async (run: string, flags: Flags) => {
    const { evaluateFinetune } = await import('../evaluation/evaluateFinetune.js');
    const status = new StatusLine();
    const onProgress = (message: string) => status.update(() => message);
    const onNotice = (line: string) => status.print(line);
    const result = await evaluateFinetune(run, { ...libraryOptions(flags), onProgress, onNotice });
    status.clear();
    const { labels, epochs, trainImages, source } = result;
    console.log(
      `fine-tuning, ${epochs} epochs: trained on ${trainImages} images of ${source} (${percent(labels)} %), ` +
        `${testImagesText(result)}`,
    );
    process.stdout.write(accuracyTable(result.widths));
  });
}

/** `1%` or `0.01`. */
function share(text: string): number {
  const isPercentage = text.endsWith('%');
  const value = Number(isPercentage ? text.slice(0, -1) : text) / (isPercentage ? 100 : 1);
  if (value > 0 && value <= 1) return value;
  throw new InvalidArgumentError('Accepted: a percentage such as 1%, or a fraction above 0, 1 at most.');
}
