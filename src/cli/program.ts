import { Command } from 'commander';
import { said } from '../distributed/mpi/beforeJoining.js';
import { oneLine } from '../errors.js';
import { printable } from '../printable.js';
import { version } from '../version.js';
import { ablateCommand } from './ablate.js';
import { checkCommand } from './check.js';
import { configCommand } from './config.js';
import { dataCommand } from './data.js';
import { demoCommand } from './demo.js';
import { diagnoseCommand } from './diagnose.js';
import { doctorCommand } from './doctor.js';
import { embedCommand } from './embed.js';
import { exportCommand } from './export.js';
import { finetuneCommand } from './finetune.js';
import { graphCommand } from './graph.js';
import { importCommand } from './import.js';
import { knnCommand } from './knn.js';
import { pretrainCommand } from './pretrain.js';
import { probeCommand } from './probe.js';
import { quantizeCommand } from './quantize.js';
import { reportCommand } from './report.js';
import { runsCommand } from './runs.js';
import { watchCommand } from './watch.js';

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
    .addCommand(watchCommand())
    .addCommand(ablateCommand())
    .addCommand(importCommand())
    .addCommand(knnCommand())
    .addCommand(probeCommand())
    .addCommand(finetuneCommand())
    .addCommand(diagnoseCommand())
    .addCommand(exportCommand())
    .addCommand(embedCommand())
    .addCommand(checkCommand())
    .addCommand(demoCommand())
    .addCommand(quantizeCommand())
    .addCommand(reportCommand())
    .addCommand(runsCommand())
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
        write(`slimclr: ${said(printable(oneLine({ message: text.trim().replace(/^error: /, '') })))}\n`),
    });
  command.commands.forEach(configure);
}
