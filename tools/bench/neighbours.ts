import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Processor time of one process up to a moment. */
export interface ProcessTime {
  readonly name: string;
  readonly parent: number;
  /** -20 to 19; neighbours of low priority slow barriers, too. */
  readonly nice: number;
  readonly seconds: number;
  /** When it started, in ticks since the machine did: tells a process from a later one with its id. */
  readonly started: number;
}

/** All processes by their ids, at a moment. */
export interface ProcessTimes {
  /** Seconds by a clock that only runs forward. */
  readonly at: number;
  readonly processes: ReadonlyMap<number, ProcessTime>;
}

/** A process that ran beside a measurement. */
export interface Neighbour {
  readonly name: string;
  readonly pid: number;
  readonly nice: number;
  /** Of one core, on average: 2 are two cores. */
  readonly share: number;
}

/** Clock ticks a second in /proc (USER_HZ, the same on every Linux). */
const ticks = 100;
/** Below this share of a core a process does not count as one that ran. */
const threshold = 0.05;

/** Processor times of all processes, of any user and priority; none where there is no /proc. Linux. */
export function processTimes(root = '/proc'): ProcessTimes {
  const processes = new Map<number, ProcessTime>();
  for (const name of listed(root)) {
    const time = readTime(join(root, name, 'stat'));
    if (time) processes.set(Number(name), time);
  }
  return { at: performance.now() / 1000, processes };
}

/**
 * The processes that used more than 5 % of a core between two moments, busiest first, but those of `own` and all that
 * they started. One that ended in between is not seen.
 */
export function neighbours(before: ProcessTimes, after: ProcessTimes, own: readonly number[]): Neighbour[] {
  const elapsed = after.at - before.at;
  const isOwn = (pid: number): boolean => {
    for (let id: number | undefined = pid; id !== undefined; id = after.processes.get(id)?.parent) {
      if (own.includes(id)) return true;
    }
    return false;
  };
  return [...after.processes]
    .map(([pid, { name, nice, seconds, started }]) => {
      const earlier = before.processes.get(pid);
      const used = earlier?.started === started ? seconds - earlier.seconds : seconds;
      return { name, pid, nice, share: used / elapsed };
    })
    .filter(({ pid, share }) => share > threshold && !isOwn(pid))
    .sort((a, b) => b.share - a.share);
}

function listed(root: string): string[] {
  try {
    return readdirSync(root).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

/** Fields of proc_pid_stat(5); undefined for a process that has ended meanwhile. */
function readTime(file: string): ProcessTime | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
  // The name stands in parentheses and may hold any; the third field follows the last one.
  const [open, close] = [text.indexOf('('), text.lastIndexOf(')')];
  const fields = text
    .slice(close + 2)
    .split(' ')
    .map(Number);
  const field = (number: number) => fields[number - 3]!;
  return {
    name: text.slice(open + 1, close),
    parent: field(4),
    seconds: (field(14) + field(15)) / ticks,
    nice: field(19),
    started: field(22),
  };
}
