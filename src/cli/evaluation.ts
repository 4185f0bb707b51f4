import { Option, type Command } from 'commander';
import { counted } from '../counted.js';
import type { WidthAccuracy } from '../evaluation/results.js';
import { cacheOption, checkpointOption, integer, type CacheOption } from './options.js';
import { formatTable } from './table.js';

/** What `addEvaluationOptions` parses. */
export interface EvaluationFlags extends CacheOption {
  readonly checkpoint?: string;
  readonly baseline?: boolean;
  readonly source?: string;
  readonly limit?: number;
  readonly sourceLabels?: string;
  readonly testSource?: string;
  readonly testLabels?: string;
  readonly heldOut?: boolean;
  readonly testLimit?: number;
}

/** The options that all evaluations share. */
export function addEvaluationOptions(command: Command): Command {
  const count = integer(0);
  return command
    .option('--baseline', 'evaluate the encoder with random weights as well (default: no)')
    .option(
      '--source <source>',
      'labelled images: a data set, or a folder with one folder a class (default: those of the run)',
    )
    .option(
      '--source-labels <file>',
      'label file of the images at --source, CSV or JSON (default: data.labels of the run, where they are its images)',
    )
    .option(
      '--test-source <source>',
      'test images (default: the test split of a named data set; of a folder those that data.validation holds out)',
    )
    .addOption(
      new Option(
        '--held-out',
        'classify what data.validation holds out, of a named data set too (default: no)',
      ).conflicts('testSource'),
    )
    .option('--test-labels <file>', 'label file of the images at --test-source (default: its folders)')
    .addOption(
      new Option(
        '--limit <count>',
        'at most this many training images; 0: all (default: as many as the run)',
      ).argParser(count),
    )
    .addOption(
      new Option('--test-limit <count>', 'at most this many test images; 0: all (default: 0)').argParser(
        count,
      ),
    )
    .addOption(checkpointOption())
    .addOption(cacheOption());
}

/** Test images in words: `10 held-out images`. */
export function testImagesText({ testImages, heldOut }: TestedImages): string {
  return counted(testImages, heldOut ? 'held-out image' : 'test image');
}

interface TestedImages {
  readonly testImages: number;
  readonly heldOut?: true;
}

/** One line a width: top-1 and top-5, and of the random encoder where it was asked for, in percent. */
export function accuracyTable(widths: readonly WidthAccuracy[]): string {
  const baseline = widths.some(({ random }) => random);
  const percent = (share: number) => (100 * share).toFixed(1);
  return formatTable([
    ['width', 'top-1, %', 'top-5, %', ...(baseline ? ['random top-1, %', 'random top-5, %', 'gain'] : [])],
    ...widths.map(({ label, trained, random }) => [
      label.slice(1),
      percent(trained.top1),
      percent(trained.top5),
      ...(random ? [percent(random.top1), percent(random.top5), signed(trained.top1 - random.top1)] : []),
    ]),
  ]);

  function signed(share: number): string {
    return `${share < 0 ? '' : '+'}${percent(share)}`;
  }
}
