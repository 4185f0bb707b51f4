import { Command, InvalidArgumentError, Option } from 'commander';
import { cacheOption, integer, libraryOptions, number, type CacheOption } from './options.js';
import { StatusLine } from './statusLine.js';

interface Flags extends CacheOption {
  readonly output: string;
  readonly key?: string;
  readonly prefix?: string;
  readonly widths?: readonly number[];
  readonly source?: string;
  readonly calibrationImages: number;
  readonly set?: readonly string[];
}

export function importCommand(): Command {
  return new Command('import')
    .description(
      'make a run folder of the weights of a ResNet: timm, torchvision, MoCo (safetensors, .pth, .pth.tar), the official SlimCLR, or a checkpoint; nothing in the file is executed',
    )
    .argument(
      '<file>',
      'safetensors, the zip that torch.save writes since PyTorch 1.6, or the folder of a run',
    )
    .requiredOption('--output <folder>', 'run folder that is made; required')
    .option(
      '--key <name>',
      'which dictionary of a checkpoint of PyTorch, e.g. state_dict (default: the one of the usual name)',
    )
    .option(
      '--prefix <prefix>',
      'what the names of the encoder begin with, e.g. module.encoder_k. (default: that of the one that trains)',
    )
    .addOption(
      new Option(
        '--widths <widths>',
        'widths of the run, 1 first, e.g. 1,0.5; those that the file has not are cut from it, untrained, and calibrated on --source (default: those of the file, of a plain ResNet 1)',
      ).argParser(widths),
    )
    .option(
      '--source <source>',
      'images of the run: a data set, or a folder (default: imagenet, behind the stem for CIFAR cifar10)',
    )
    .addOption(
      new Option('--calibration-images <count>', 'images at most that widths are calibrated on; 0: all')
        .argParser(integer(0))
        .default(1024),
    )
    .option(
      '--set <assignment>',
      "set one key of the run's config, e.g. data.imageSize=160; may be given more than once (default: what the file says, mean and std of ImageNet or CIFAR-10)",
      (assignment: string, before: readonly string[] = []) => [...before, assignment],
    )
    .addOption(cacheOption())
    .action(run);
}

async function run(file: string, flags: Flags): Promise<void> {
  const { importRun } = await import('../import/importRun.js');
  const status = new StatusLine();
  const { lines } = await importRun(file, {
    ...libraryOptions(flags),
    onProgress: (message) => status.show(message),
    onNotice: (line) => status.print(line),
  });
  status.clear();
  for (const line of lines) console.log(line);
}

function widths(text: string): number[] {
  const values = text.split(',').map(number);
  if (values.every((width) => width > 0 && width <= 1)) return values;
  throw new InvalidArgumentError('Accepted: numbers above 0, 1 at most.');
}
