import { Command } from 'commander';
import { oneLine } from '../errors.js';
import { printable } from '../printable.js';
import { version } from '../version.js';
import { ablateCommand } from './ablate.js';
import { configCommand } from './config.js';
import { dataCommand } from './data.js';
import { diagnoseCommand } from './diagnose.js';
import { doctorCommand } from './doctor.js';
import { exportCommand } from './export.js';
import { finetuneCommand } from './finetune.js';
import { graphCommand } from './graph.js';
import { knnCommand } from './knn.js';
import { pretrainCommand } from './pretrain.js';
import { probeCommand } from './probe.js';
import { reportCommand } from './report.js';

/**
 * The command line. Commands import the library when they run, so that --help does not wait for the decoder
 * and the registry client.
 */
export function createProgram(): Command {
  const program = new Command('slimclr')
    .description(
      'Pre-train one slimmable image encoder without labels, export a family of small ONNX models.',
    )
    .version(version)
    .option('--stack', 'print the stack trace of an error, with its causes')
    .addCommand(configCommand())
    .addCommand(dataCommand())
    .addCommand(graphCommand())
    .addCommand(pretrainCommand())
    .addCommand(ablateCommand())
    .addCommand(knnCommand())
    .addCommand(probeCommand())
    .addCommand(finetuneCommand())
    .addCommand(diagnoseCommand())
    .addCommand(exportCommand())
    .addCommand(reportCommand())
    .addCommand(doctorCommand());
  configure(program);
  return program;
}

/** Usage errors are thrown, as one line. */
function configure(command: Command): void {
  command
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      outputError: (text, write) =>
        write(`slimclr: ${printable(oneLine({ message: text.trim().replace(/^error: /, '') }))}\n`),
    });
  command.commands.forEach(configure);
}
