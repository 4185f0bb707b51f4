import { Command, Option } from 'commander';
import type * as Actions from './graphActions.js';
import { addConfigOptions, integer } from './options.js';

/** Loaded when one of them runs: they bring the operators and the targets, which nothing else on the command line waits for. */
const actions = () => import('./graphActions.js');

/** `slimclr graph`: the ONNX graphs that training is made of. */
export function graphCommand(): Command {
  const command = new Command('graph').description('write, show, check and compare the training graphs');

  addConfigOptions(command.command('build'))
    .description('write the graphs of a config, their manifest and freshly drawn weights to a folder')
    .requiredOption('--output <folder>', 'folder to write, created if need be')
    .addOption(
      new Option(
        '--block <channels>',
        'block size of the cpu target: 16 for processors with AVX-512, 8 for others; `slimclr doctor` says which (default: 16)',
      ).choices(['8', '16']),
    )
    .addOption(
      new Option(
        '--tuning <file>',
        "tuning.json of a run, for that run's graphs (default: the config's target with built-in choices, the same on any machine)",
      ).conflicts('block'),
    )
    .action(async (...given: Parameters<typeof Actions.build>) => (await actions()).build(...given));

  command
    .command('info')
    .description('show what an ONNX file or a folder of graphs holds')
    .argument('<path>', 'ONNX file, or folder that `graph build` wrote')
    .option('--text', 'print the canonical text of the graphs instead: one line a node, without weights')
    .action(async (...given: Parameters<typeof Actions.info>) => (await actions()).info(...given));

  addLines(command.command('check'))
    .description('emit graphs afresh and compare them with the golden ones; exit code 1 when they differ')
    .argument('[folder]', 'folder of golden graphs', 'graphs')
    .option(
      '--config <file>',
      'config file whose graphs the folder holds, instead of those of the presets; may be given more than once',
      (file: string, before: readonly string[] = []) => [...before, file],
    )
    .option('--update', 'write the golden graphs instead of comparing')
    .action(async (...given: Parameters<typeof Actions.check>) => (await actions()).check(...given));

  addLines(command.command('diff'))
    .description('compare two folders of graphs or two ONNX files; exit code 1 when they differ')
    .argument('<a>', 'folder or file before')
    .argument('<b>', 'folder or file after')
    .action(async (...given: Parameters<typeof Actions.diff>) => (await actions()).diff(...given));

  return command;
}

function addLines(command: Command): Command {
  return command.option(
    '--lines <count>',
    'lines to show of each graph that differs; 0 shows all',
    integer(0),
    20,
  );
}
