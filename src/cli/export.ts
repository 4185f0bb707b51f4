import { Command, Option } from 'commander';
import { SlimclrError, UsageError } from '../errors.js';
import { probeProtocols, type ExportedModelRecord } from '../evaluation/results.js';
import type { Candidates } from '../export/candidates.js';
import type { ExportOptions } from '../export/exportJob.js';
import { inputForms, precisions } from '../export/form.js';
import type { FormOptions } from '../export/formOptions.js';
import type { HuggingFaceExport } from '../export/huggingFace.js';
import type { TrainingExportOptions } from '../export/training/exportTraining.js';
import { trainableLayers, type TrainableLayers } from '../export/training/trainableLayers.js';
import { formatCount } from '../formatCount.js';
import { widthLabel } from '../nn/widthLabel.js';
import { addConversionOptions, conversionOptions, type ConversionFlags } from './conversion.js';
import { parseBytes, parseCount } from '../units.js';
import {
  cacheOption,
  checkpointOption,
  integer,
  libraryOptions,
  modelsOption,
  number,
  positive,
  withUnits,
  widthOption,
  type CacheOption,
} from './options.js';
import { StatusLine } from './statusLine.js';
import { formatTable } from './table.js';

interface Flags extends CacheOption, ConversionFlags, FormOptions {
  readonly width?: readonly number[];
  readonly output?: string;
  readonly checkpoint?: string;
  readonly verify: boolean;
  readonly source?: string;
  readonly layout?: 'files' | 'huggingface';
  readonly maxMs?: number;
  readonly maxBytes?: number;
  readonly maxMacs?: number;
  readonly training?: boolean;
  readonly classes?: number;
  readonly trainable?: TrainableLayers;
  readonly learningRate?: number;
}

export function exportCommand(): Command {
  const command = new Command('export')
    .description('write a standalone ONNX model of each width, checked against the training side')
    .argument('<run>', 'folder of a run')
    .addOption(widthOption())
    .addOption(modelsOption())
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
    .addOption(
      new Option(
        '--input <form>',
        'what the models take as `images`: float32-nchw, normalised [batch, 3, S, S], or uint8-nhwc, the bytes of RGB ' +
          'pixels [batch, S, S, 3] (default: float32-nchw)',
      ).choices(inputForms),
    )
    .option(
      '--resize',
      'take images of any height and width; the model resizes and crops them as the evaluation does, opset 18 (default: no)',
    )
    .option(
      '--batch <count>',
      'number of images that the models take, such as 1 for NNAPI and CoreML (default: any)',
      integer(1),
    )
    .option(
      '--outputs <stages>',
      'add the feature maps that leave these stages of the encoder, such as layer2,layer3,layer4 (default: none)',
      (text: string) => text.split(','),
    )
    .option(
      '--shared',
      'put the weights into one file that the models of all widths share, each of some kilobytes then (default: no)',
    )
    .option(
      '--opset <version>',
      'ONNX opset of the models, up to 21 (default: the oldest that has their operators: 11, in int8 13, with --resize 18)',
      integer(1),
    )
    .addOption(
      new Option(
        '--precision <precision>',
        'of weights and inner values; inputs and outputs are float32 (default: float32)',
      ).choices(precisions),
    )
    .option(
      '--source <source>',
      'images to check, calibrate and measure the models on, a data set or a folder (default: those of the run)',
    )
    .option(
      '--no-verify',
      'check nothing, which needs no images; the metadata of the models say so (default: they are checked)',
    )
    .addOption(
      new Option(
        '--layout <layout>',
        'files, or huggingface: for each width a folder that transformers.js loads, whose model resizes and crops (default: files)',
      ).choices(['files', 'huggingface']),
    )
    .addOption(
      new Option(
        '--max-ms <milliseconds>',
        'write only the most accurate model of which a run of one image takes at most this long on this machine; all are measured (default: no limit)',
      )
        .argParser(positive)
        .conflicts(['layout', 'training']),
    )
    .addOption(
      new Option(
        '--max-bytes <bytes>',
        'the same for the size of the file, such as 500kB, 1MB or 1MiB (default: no limit)',
      )
        .argParser(withUnits(parseBytes, 'bytes such as 500kB, 1MB, 1MiB'))
        .conflicts(['layout', 'training']),
    )
    .addOption(
      new Option(
        '--max-macs <count>',
        'the same for the multiply-adds of an image, such as 100M (default: no limit)',
      )
        .argParser(withUnits(parseCount, 'a number such as 200k, 100M, 1.5G'))
        .conflicts(['layout', 'training']),
    )
    .addOption(
      new Option(
        '--training',
        'write what ONNX Runtime fine-tunes on a device instead: for each width a folder with training_model.onnx, ' +
          'eval_model.onnx, optimizer_model.onnx, checkpoint (default: no)',
      ).conflicts(['head', 'layout', 'precision']),
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
    );
  return addConversionOptions(command, 'with --precision or --max-...: ')
    .addOption(checkpointOption())
    .addOption(cacheOption())
    .action(async (run: string, { training = false, layout, width, ...given }: Flags) => {
      const { maxMs, maxBytes, maxMacs, ...flags } = given;
      const budget = {
        ...(maxMs !== undefined && { milliseconds: maxMs }),
        ...(maxBytes !== undefined && { bytes: maxBytes }),
        ...(maxMacs !== undefined && { multiplyAdds: maxMacs }),
      };
      const status = new StatusLine();
      const options = {
        ...libraryOptions(conversionOptions(flags)),
        ...(width !== undefined && { widths: width }),
        onProgress: (message: string) => status.show(message),
        onNotice: (line: string) => status.print(line),
      };
      if (training && options.conversion) {
        throw new UsageError(
          `${Object.keys(options.conversion).join(', ')}: a model that is trained on is float32; ` +
            'accepted: together with --precision',
        );
      }
      if (Object.keys(budget).length > 0) {
        const { exportWithin } = await import('../export/exportWithin.js');
        const { candidates, file, outcome } = await exportWithin(run, budget, options);
        status.clear();
        process.stdout.write(candidateTable(candidates));
        if (file === null) throw new SlimclrError(outcome);
        process.stdout.write(`${outcome}: ${file}\n`);
        return;
      }
      const rows = training
        ? await exportedArtifacts(run, options)
        : await exportedModels(run, options, layout === 'huggingface');
      status.clear();
      process.stdout.write(formatTable(rows));
    });
}

/** The models that a budget chose from, the chosen one marked. */
function candidateTable({ models, chosen }: Candidates): string {
  const percent = (accuracy: { readonly top1: number } | null) =>
    accuracy ? (100 * accuracy.top1).toFixed(2) : '-';
  return formatTable([
    ['', 'width', 'precision', 'kNN, %', 'probe, %', 'latency', 'size', 'multiply-adds'],
    ...models.map(({ width, label, precision, accuracy, latency, bytes, multiplyAdds }) => [
      chosen?.width === width && chosen.precision === precision ? '*' : '',
      label.slice(1),
      precision,
      percent(accuracy.knn),
      percent(accuracy.probe),
      latency ? `${latency.milliseconds.toPrecision(3)} ms` : '-',
      `${formatCount(bytes)}B`,
      formatCount(multiplyAdds).trim(),
    ]),
  ]);
}

type Row = readonly string[];

type Options = TrainingExportOptions & ExportOptions;

async function exportedModels(run: string, options: Options, forHuggingFace: boolean): Promise<Row[]> {
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
  const row = (model: ExportedModelRecord | HuggingFaceExport, place: string) => [
    model.label.slice(1),
    formatCount(model.parameters).trim(),
    formatCount(model.multiplyAdds).trim(),
    `${formatCount(model.bytes)}B`,
    `${model.latency.toPrecision(3)} ms`,
    model.maxRelativeError?.toExponential(1) ?? 'not verified',
    place,
  ];
  const heads = ['width', 'parameters', 'multiply-adds', 'size', 'latency', 'error'];
  if (forHuggingFace) {
    const { exportHuggingFace } = await import('../export/huggingFace.js');
    const exported = await exportHuggingFace(run, options);
    return [[...heads, 'folder'], ...exported.map((model) => row(model, model.folder))];
  }
  const { exportRun } = await import('../export/exportRun.js');
  const { models } = await exportRun(run, options);
  return [[...heads, 'file'], ...models.map((model) => row(model, model.file))];
}

async function exportedArtifacts(run: string, options: Options): Promise<Row[]> {
  const given = (['input', 'resize', 'batch', 'outputs', 'shared', 'opset'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (given) throw new UsageError(`--${given} is for models that infer; accepted: without --training`);
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
