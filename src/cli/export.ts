import { Command, Option } from 'commander';
import { UsageError } from '../errors.js';
import { probeProtocols, type ProbeProtocol } from '../evaluation/results.js';
import type { TrainingExportOptions } from '../export/training/exportTraining.js';
import { trainableLayers, type TrainableLayers } from '../export/training/trainableLayers.js';
import { widthLabel } from '../nn/widthLabel.js';
import { formatCount } from '../report/summary.js';
import {
  cacheOption,
  checkpointOption,
  integer,
  libraryOptions,
  number,
  type CacheOption,
} from './options.js';
import { StatusLine } from './statusLine.js';
import { formatTable } from './table.js';

interface Flags extends CacheOption {
  readonly width?: readonly number[];
  readonly output?: string;
  readonly checkpoint?: string;
  readonly classifier?: true | ProbeProtocol;
  readonly size?: number;
  readonly verify: boolean;
  readonly source?: string;
  readonly head?: boolean;
  readonly training?: boolean;
  readonly classes?: number;
  readonly trainable?: TrainableLayers;
  readonly learningRate?: number;
}

export function exportCommand(): Command {
  return new Command('export')
    .description('write a standalone ONNX model of each width, checked against the training side')
    .argument('<run>', 'folder of a run')
    .option(
      '--width <width>',
      'a width of the run, e.g. 0.5; may be given more than once (default: all of them)',
      (text: string, before: readonly number[] = []) => [...before, number(text)],
    )
    .option('--output <folder>', 'folder of the models (default: export in the run folder)')
    .addOption(
      new Option(
        '--classifier [protocol]',
        'add the output `logits` of the classifier that `slimclr probe` trained, with that --protocol (default: no; ' +
          'without a protocol: features)',
      ).choices(probeProtocols),
    )
    .option(
      '--head',
      'add the output `embedding` of the projection head, which a SEED teacher needs (default: no)',
    )
    .option(
      '--size <pixels>',
      'side of the images that the models take (default: data.imageSize)',
      integer(1),
    )
    .option(
      '--source <source>',
      'images to check the models on, a data set or a folder (default: those of the run)',
    )
    .option(
      '--no-verify',
      'check nothing, which needs no images; the metadata of the models say so (default: they are checked)',
    )
    .addOption(
      new Option(
        '--training',
        'write what ONNX Runtime fine-tunes on a device instead: for each width a folder with training_model.onnx, ' +
          'eval_model.onnx, optimizer_model.onnx, checkpoint (default: no)',
      ).conflicts('head'),
    )
    .addOption(
      new Option(
        '--classes <count>',
        'with --training: classes of a new classifier (default: those of the images of the run)',
      )
        .argParser(integer(2))
        .conflicts('classifier'),
    )
    .addOption(
      new Option(
        '--trainable <layers>',
        'with --training: what is trained, the stage being the last one and the classifier (default: all)',
      ).choices(trainableLayers),
    )
    .option(
      '--learning-rate <value>',
      'with --training: what the rate that ONNX Runtime begins with there stands for, which browsers cannot set (default: 0.001, itself)',
      number,
    )
    .addOption(checkpointOption())
    .addOption(cacheOption())
    .action(async (run: string, { training = false, width, ...flags }: Flags) => {
      const status = new StatusLine();
      const options = {
        ...libraryOptions(flags),
        ...(width !== undefined && { widths: width }),
        onProgress: (message: string) => status.show(message),
        onNotice: (line: string) => status.print(line),
      };
      const rows = training ? await exportedArtifacts(run, options) : await exportedModels(run, options);
      status.clear();
      process.stdout.write(formatTable(rows));
    });
}

type Row = readonly string[];

async function exportedModels(run: string, options: TrainingExportOptions): Promise<Row[]> {
  const given = [
    ['--classes', options.classes],
    ['--trainable', options.trainable],
    ['--learning-rate', options.learningRate],
  ].find(([, value]) => value !== undefined);
  if (given) {
    throw new UsageError(
      `${given[0]} is for the fine-tuning on a device; accepted: together with --training`,
    );
  }
  const { exportRun } = await import('../export/exportRun.js');
  const { models } = await exportRun(run, options);
  const rows = models.map((model) => [
    model.label.slice(1),
    formatCount(model.parameters).trim(),
    formatCount(model.multiplyAdds).trim(),
    `${formatCount(model.bytes)}B`,
    `${model.latency.toPrecision(3)} ms`,
    model.maxRelativeError?.toExponential(1) ?? 'not verified',
    model.file,
  ]);
  return [['width', 'parameters', 'multiply-adds', 'size', 'latency', 'error', 'file'], ...rows];
}

async function exportedArtifacts(run: string, options: TrainingExportOptions): Promise<Row[]> {
  const { exportTraining } = await import('../export/training/exportTraining.js');
  const rows = (await exportTraining(run, options)).map((exported) => [
    widthLabel(exported.width).slice(1),
    String(exported.classes),
    formatCount(exported.parameters.trained).trim(),
    formatCount(exported.parameters.frozen).trim(),
    `${formatCount(exported.bytes)}B`,
    exported.maxRelativeError?.toExponential(1) ?? 'not verified',
    exported.folder,
  ]);
  return [['width', 'classes', 'trained', 'frozen', 'size', 'error', 'folder'], ...rows];
}
