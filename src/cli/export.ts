import { Command, Option } from 'commander';
import { probeProtocols, type ProbeProtocol } from '../evaluation/results.js';
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
  readonly head?: boolean;
  readonly size?: number;
  readonly verify: boolean;
  readonly source?: string;
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
    .addOption(checkpointOption())
    .addOption(cacheOption())
    .action(async (run: string, { width, ...flags }: Flags) => {
      const { exportRun } = await import('../export/exportRun.js');
      const status = new StatusLine();
      const onProgress = (message: string) => status.show(message);
      const { models } = await exportRun(run, {
        ...libraryOptions(flags),
        ...(width !== undefined && { widths: width }),
        onProgress,
        onNotice: (line) => status.print(line),
      });
      status.clear();
      const rows = models.map((model) => [
        model.label.slice(1),
        formatCount(model.parameters).trim(),
        formatCount(model.multiplyAdds).trim(),
        `${formatCount(model.bytes)}B`,
        `${model.latency.toPrecision(3)} ms`,
        model.maxRelativeError?.toExponential(1) ?? 'not verified',
        model.file,
      ]);
      const headings = ['width', 'parameters', 'multiply-adds', 'size', 'latency', 'error', 'file'];
      process.stdout.write(formatTable([headings, ...rows]));
    });
}
