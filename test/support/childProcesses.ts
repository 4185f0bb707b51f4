import { readdirSync, readFileSync } from 'node:fs';

/** Ids of the running processes that `parent` started. Linux. */
export function childProcesses(parent: number): number[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return ids.map(Number).filter((id) => statusOf(id)?.parent === parent && isRunning(id));
}

/** Whether a process runs; one that has ended and waits for its parent does not. Linux. */
export function isRunning(id: number): boolean {
  const status = statusOf(id);
  return status !== undefined && status.state !== 'Z';
}

function statusOf(id: number): { state: string; parent: number } | undefined {
  try {
    // Process name in parentheses, state, parent, ...
    const [state, parent] = readFileSync(`/proc/${id}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { state: state!, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

/** Ids of the training processes among the children of `parent`, which may have others: workers of other tests. Linux. */
export function trainingProcesses(parent: number): number[] {
  return childProcesses(parent).filter((id) =>
    readFileSync(`/proc/${id}/cmdline`, 'utf8').includes('trainingProcess.js'),
  );
}
