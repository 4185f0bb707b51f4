import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { isRunning } from '../replaceFile.js';

/** Where process ids mean the same: one boot of one machine, one namespace of process ids. */
export interface Machine {
  readonly host: string;
  /** Null where the system does not tell. */
  readonly boot: string | null;
  readonly namespace: string | null;
}

/** A process, told apart from a later one with the same id. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, as the system words it; null where it does not tell. */
  readonly started: string | null;
}

export function thisMachine(): Machine {
  return {
    host: hostname(),
    boot: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    namespace: attempt(() => readlinkSync('/proc/self/ns/pid')),
  };
}

export function identify(pid: number): ProcessIdentity {
  return { pid, started: startOf(pid) };
}

/** How this process was called, for people. */
export function commandLine(): string {
  const [, script = '', ...args] = process.argv;
  return [basename(script, '.js'), ...args].join(' ').slice(0, 300);
}

/** Whether a process of this machine runs. One that has ended and waits for its parent does not. */
export function runs({ pid, started }: ProcessIdentity): boolean {
  return isRunning(pid) && (started === null || startOf(pid) === started);
}

/** When a process started; null when it has ended, and where the system does not tell. */
function startOf(pid: number): string | null {
  if (process.platform === 'win32') return null;
  if (process.platform !== 'linux') {
    return attempt(() =>
      execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' }).trim(),
    );
  }
  return attempt(() => {
    // Name in parentheses, state, and as the 20th after the name the start in ticks since boot.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[0] === 'Z' ? null : fields[19]!;
  });
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
