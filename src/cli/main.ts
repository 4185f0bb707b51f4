import { inspect } from 'node:util';
import { CommanderError } from 'commander';
import { said } from '../distributed/mpi/beforeJoining.js';
import { oneLine, SaidElsewhere, SlimclrError } from '../errors.js';
import { isRefusal } from '../keep.js';
import { printable } from '../printable.js';
import { createProgram } from './program.js';

const program = createProgram();

// A reader such as `head` may close its end; what it does not read is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') fail(error);
});
process.stderr.on('error', () => {});
process.on('uncaughtException', (error) => {
  fail(error);
  process.exit();
});

try {
  await program.parseAsync();
} catch (error) {
  fail(error as Error);
}

/** Says in one line what went wrong and sets the exit code: 2 for wrong usage, 1 for a job that failed. */
function fail(error: Error): void {
  if (error instanceof CommanderError) {
    // Commander has printed it; its exit code of a usage error is 1.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
    return;
  }
  process.exitCode = error instanceof SlimclrError ? error.exitCode : 1;
  if (error instanceof SaidElsewhere) return;
  const message = said(printable(oneLine(error)));
  // What the operating system refuses (permissions, a full disk) is no defect.
  const expected = isRefusal(error);
  const hint = expected
    ? ''
    : isOfInstallation(error)
      ? '; accepted: the packages as `npm install` leaves them'
      : ' (a defect of slimclr; --stack shows where)';
  console.error(`slimclr: ${message}${hint}`);
  if (program.opts<{ stack?: boolean }>().stack) console.error(inspect(error));
}

/** Whether a package is missing, or one with a native library does not load, such as sharp, which throws words of its own. */
function isOfInstallation(error: Error & { readonly code?: string }): boolean {
  const codes = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND', 'ERR_DLOPEN_FAILED'];
  return codes.includes(error.code ?? '') || error.message.startsWith('Could not load the "sharp" module');
}
