import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SlimclrError } from '../../src/errors.js';

const execute = promisify(execFile);
const installMilliseconds = 15 * 60_000;

/**
 * The interpreter of a virtual environment with these packages from PyPI, wheels only; made once and kept in
 * `folder`. Throws a SlimclrError, in one line, when it cannot be made.
 */
export async function environmentOf(
  folder: string,
  python: string,
  packages: readonly string[],
): Promise<string> {
  const name = createHash('sha256')
    .update([python, ...packages].join('\n'))
    .digest('hex')
    .slice(0, 16);
  const environment = join(folder, name);
  const interpreter = join(environment, 'bin', 'python');
  // Written last: an environment without it was interrupted. It cannot be moved, its scripts name its place.
  const whole = join(environment, 'packages.txt');
  if (existsSync(whole)) return interpreter;
  await mkdir(folder, { recursive: true });
  try {
    await execute(python, ['-m', 'venv', '--clear', environment]);
    const install = ['-m', 'pip', 'install', '--quiet', '--only-binary', ':all:', ...packages];
    await execute(interpreter, install, { timeout: installMilliseconds });
    await writeFile(`${whole}.partial`, `${packages.join('\n')}\n`);
    await rename(`${whole}.partial`, whole);
  } catch (error) {
    await rm(environment, { recursive: true, force: true });
    throw new SlimclrError(
      `pip install ${packages.join(' ')} (${python}): ${complaint((error as { stderr?: string }).stderr) ?? (error as Error).message}`,
      { cause: error },
    );
  }
  return interpreter;
}

/** What a process that failed said of it: the last line that names an error, else the last one with words. */
export function complaint(text: string | undefined): string | undefined {
  const lines = text?.split('\n').map((line) => line.trim()) ?? [];
  return (
    lines.findLast((line) => /^\w*(error|exception)\b|error:/i.test(line)) ??
    lines.findLast((line) => /\w{3}/.test(line))
  );
}
