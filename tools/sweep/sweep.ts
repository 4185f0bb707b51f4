import { fork } from 'node:child_process';
import type { SweepCase } from './sweepCase.js';
import type { Task } from './child.js';

/**
 * Runs each case against the standard operator in child processes and returns what is wrong with each, null
 * where nothing is. A case that ends its process is run again first in a new one before it is blamed.
 */
export async function sweep(
  cases: readonly SweepCase[],
  options: Omit<Task, 'cases'>,
  progress: (done: number) => void = () => {},
): Promise<(string | null)[]> {
  const problems: (string | null)[] = [];
  while (problems.length < cases.length) {
    const before = problems.length;
    const end = await runChild({ cases: cases.slice(before), ...options }, (problem) => {
      problems.push(problem);
      progress(problems.length);
    });
    if (problems.length === before) problems.push(`ended the process (${end})`);
  }
  return problems;
}

/** How the child ended: the signal or the exit code. */
function runChild(task: Task, report: (problem: string | null) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    // What a kernel's abort writes to stderr says no more than the signal.
    const child = fork(new URL('./child.js', import.meta.url), { stdio: 'ignore' });
    child.on('message', (problem: string | null) => report(problem));
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? `code ${code}`));
    child.send(task);
  });
}
