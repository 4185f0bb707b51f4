import { Command, Option } from 'commander';
import { defaultProbeSettings } from '../evaluation/probe.js';
import { accuracyTable, addEvaluationOptions, type EvaluationFlags } from './evaluation.js';
import { integer, libraryOptions, number } from './options.js';
import { StatusLine } from './statusLine.js';

type Flags = EvaluationFlags & {
  readonly epochs: number;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly seed?: number;
};

export function probeCommand(): Command {
  const command = new Command('probe')
    .description(
      'accuracy of a linear probe on the frozen encoder of a run at every width; into results/probe.json',
    )
    .argument('<run>', 'folder of a run')
    .addOption(
      new Option('--epochs <count>', 'an integer >= 1')
        .argParser(integer(1))
        .default(defaultProbeSettings.epochs),
    )
    .addOption(
      new Option('--learning-rate <value>', 'peak of the cosine schedule, > 0')
        .argParser(number)
        .default(defaultProbeSettings.learningRate),
    )
    .addOption(
      new Option('--batch-size <count>', 'images of one step, an integer >= 1')
        .argParser(integer(1))
        .default(defaultProbeSettings.batchSize),
    )
    .addOption(
      new Option(
        '--seed <seed>',
        'of the order of the images, an integer >= 0 (default: that of the run)',
      ).argParser(integer(0)),
    );
  return addEvaluationOptions(command).action(async (run: string, flags: Flags) => {
    const { evaluateProbe } = await import('../evaluation/evaluateProbe.js');
    const status = new StatusLine();
    const onProgress = (message: string) => status.show(message);
    const result = await evaluateProbe(run, { ...libraryOptions(flags), onProgress });
    status.clear();
    const { epochs, learningRate, trainImages, testImages, source } = result;
    console.log(
      `linear probe, ${epochs} epochs, learning rate ${learningRate}: trained on ${trainImages} images of ` +
        `${source}, ${testImages} test images`,
    );
    process.stdout.write(accuracyTable(result.widths));
  });
}
