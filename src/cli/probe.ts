import { Command, Option } from 'commander';
import { probeProtocols, type ProbeProtocol, type ProbeResult } from '../evaluation/results.js';
import { accuracyTable, addEvaluationOptions, testImagesText, type EvaluationFlags } from './evaluation.js';
import { integer, libraryOptions, number } from './options.js';
import { StatusLine } from './statusLine.js';

type Flags = EvaluationFlags & {
  readonly protocol: ProbeProtocol;
  readonly epochs?: number;
  readonly learningRate?: number;
  readonly batchSize?: number;
  readonly seed?: number;
};

export function probeCommand(): Command {
  const command = new Command('probe')
    .description(
      'accuracy of a linear probe on the frozen encoder of a run at every width; into results/probe.json',
    )
    .argument('<run>', 'folder of a run')
    .addOption(
      new Option(
        '--protocol <protocol>',
        'features: a classifier a width, trained on features of plain images; ridge: least squares on those; ' +
          'shared: one slimmable layer for all widths; augmented: a classifier a width on other crops in every ' +
          "epoch, as in the paper. Into results/probe-<protocol>.json, of 'features' into results/probe.json",
      )
        .choices(probeProtocols)
        .default('features'),
    )
    .addOption(
      new Option('--epochs <count>', 'an integer >= 1 (default: 100; ridge has none)').argParser(integer(1)),
    )
    .addOption(
      new Option(
        '--learning-rate <value>',
        'the highest of the schedule, > 0 (default: 10; augmented: 60 at a batch of 1024, in proportion to the ' +
          'batch; ridge has none)',
      ).argParser(number),
    )
    .addOption(
      new Option(
        '--batch-size <count>',
        'images of one step, an integer >= 1 (default: 256; ridge has none)',
      ).argParser(integer(1)),
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
    const onNotice = (line: string) => status.print(line);
    const result = await evaluateProbe(run, { ...libraryOptions(flags), onProgress, onNotice });
    status.clear();
    const { trainImages, source } = result;
    console.log(
      `linear probe, ${described(result)}: trained on ${trainImages} images of ${source}, ${testImagesText(result)}`,
    );
    process.stdout.write(accuracyTable(result.widths));
  });
}

function described(result: ProbeResult): string {
  if (result.protocol === 'ridge') return `ridge regression, lambda ${result.lambdas.join(', ')}`;
  const { protocol, epochs, learningRate } = result;
  const settings = `${epochs} epochs, learning rate ${learningRate}`;
  return protocol === 'features' ? settings : `${protocol}, ${settings}`;
}
