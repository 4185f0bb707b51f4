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

/** Processes of one name and priority that ran beside a measurement. */
export interface BusyNeighbour {
  readonly name: string;
  readonly nice: number;
  /** How many. */
  readonly count: number;
  /** Of one core, on average, all together: 2 are two cores. */
  readonly share: number;
}

/** Clock ticks a second in /proc (USER_HZ, the same on every Linux). */
const ticks = 100;
/** Up to this share of a core processes do not count as ones that ran. */
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
 * What used more than 5 % of a core over the moments of a measurement, from the first to the last, busiest first, but the
 * processes of `own` and all that they started. Of a process that starts and ends between two moments nothing is seen,
 * of one that ends what it used up to the moment before.
 */
export function neighbours(moments: readonly ProcessTimes[], own: readonly number[]): BusyNeighbour[] {
  const [first] = moments;
  const elapsed = moments.at(-1)!.at - first!.at;
  const used = new Map<string, { readonly process: ProcessTime; readonly seconds: number }>();
  for (const { processes } of moments) {
    for (const [pid, process] of processes) {
      if (isOwn(pid, processes, own)) continue;
      const before = first!.processes.get(pid);
      const seconds = process.seconds - (before?.started === process.started ? before.seconds : 0);
      used.set(`${pid} ${process.started}`, { process, seconds });
    }
  }
  const groups = new Map<string, BusyNeighbour>();
  for (const { process, seconds } of used.values()) {
    if (seconds === 0) continue;
    const { name, nice } = process;
    const { count = 0, share = 0 } = groups.get(`${nice} ${name}`) ?? {};
    groups.set(`${nice} ${name}`, { name, nice, count: count + 1, share: share + seconds / elapsed });
  }
  return [...groups.values()].filter(({ share }) => share > threshold).sort((a, b) => b.share - a.share);
}

function isOwn(pid: number, processes: ProcessTimes['processes'], own: readonly number[]): boolean {
  for (let id: number | undefined = pid; id !== undefined; id = processes.get(id)?.parent) {
    if (own.includes(id)) return true;
  }
  return false;
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
