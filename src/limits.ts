import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/*
 * What the control groups of Linux leave this process: containers, Slurm and systemd limit it with them. Without other
 * imports: bin/slimclr.js asks before anything else is loaded.
 */

export interface Limits {
  /** CPUs' worth of time, e.g. 1.5; undefined where nothing limits it. */
  readonly cpus: number | undefined;
  /** Bytes; undefined where nothing limits them. */
  readonly memory: number | undefined;
}

/** A file system of control groups: version 2, or a hierarchy of version 1 for some controllers. */
interface Hierarchy {
  /** Of version 1; empty for version 2. */
  readonly controllers: readonly string[];
  /** The folder of the group that this process is in, and those above it that it sees, the root last. */
  readonly folders: readonly string[];
}

/** More than any machine has: how version 1 says that memory is not limited. */
const unlimited = 2 ** 60;

/** The limits of this process, the smallest of its group and those around it. `root`: of the file system. */
export function processLimits(root = '/'): Limits {
  const quotas: number[] = [];
  const memory: number[] = [];
  for (const { controllers, folders } of hierarchies(root)) {
    for (const folder of folders) {
      if (controllers.length === 0) {
        // `max 100000` or `50000 100000`: microseconds of every period.
        const [quota, period] = (read(join(folder, 'cpu.max')) ?? '').split(' ').map(Number);
        quotas.push(quota! / period!);
        memory.push(Number(read(join(folder, 'memory.max'))));
      }
      if (controllers.includes('cpu')) {
        // -1: not limited.
        const quota = Number(read(join(folder, 'cpu.cfs_quota_us')));
        quotas.push(quota / Number(read(join(folder, 'cpu.cfs_period_us'))));
      }
      if (controllers.includes('memory')) memory.push(Number(read(join(folder, 'memory.limit_in_bytes'))));
    }
  }
  return { cpus: smallest(quotas), memory: smallest(memory.filter((bytes) => bytes < unlimited)) };
}

/**
 * How many processes the system has ended for want of memory in the group of this process; undefined where it does not
 * count them.
 */
export function memoryKills(root = '/'): number | undefined {
  const counts = hierarchies(root).flatMap(({ controllers, folders }) => {
    const name =
      controllers.length === 0
        ? 'memory.events'
        : controllers.includes('memory')
          ? 'memory.oom_control'
          : undefined;
    const text = name === undefined ? undefined : read(join(folders[0]!, name));
    const count = /^oom_kill (\d+)$/m.exec(text ?? '')?.[1];
    return count === undefined ? [] : [Number(count)];
  });
  return counts.length === 0 ? undefined : Math.max(...counts);
}

/** Numbers of the CPUs that this process may run on; from 0 where the system does not tell. */
export function allowedCpuList(root = '/'): number[] {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(read(join(root, 'proc/self/status')) ?? '')?.[1];
  if (list === undefined) return Array.from({ length: availableParallelism() }, (_, cpu) => cpu);
  // `0-3,8`
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
  });
}

/** CPUs that this process may run on. Newer versions of Node count a limit of time into theirs, rounded down. */
export function allowedCpus(root = '/'): number {
  return allowedCpuList(root).length;
}

let limits: Limits | undefined;
const ownLimits = () => (limits ??= processLimits());

/**
 * Threads that this process can keep busy: those that it may run on (a cpuset, an affinity), or fewer where its time is
 * limited, a part of a CPU counting as one.
 */
export function usableThreads(): number {
  return threadsWithin(allowedCpus());
}

/** Of so many threads or workers, those that time is left for: more would only hold memory. */
export function threadsWithin(count: number, { cpus }: Pick<Limits, 'cpus'> = ownLimits()): number {
  return cpus === undefined ? count : Math.min(count, Math.max(1, Math.ceil(cpus)));
}

/**
 * Threads of libuv's pool, in which sharp decodes: one a core, and not fewer than Node's own default of 4, of which a
 * process whose time is limited would spend it all at once. At least two: files are read there, too.
 */
export function poolThreads({ cpus }: Pick<Limits, 'cpus'> = processLimits(), parallelism = allowedCpus()) {
  return Math.max(cpus === undefined ? 4 : 2, threadsWithin(parallelism, { cpus }));
}

function hierarchies(root: string): Hierarchy[] {
  // `4:cpu,cpuacct:/docker/1a2b`, of version 2 `0::/user.slice`.
  const groups = lines(read(join(root, 'proc/self/cgroup'))).map((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? ['', '', '/'];
    return { controllers: controllers.split(',').filter((name) => name !== ''), path: path };
  });
  // Id, parent, device, root of the mount, mount point, options, fields until `-`, type, source, options of its own.
  return lines(read(join(root, 'proc/self/mountinfo'))).flatMap((line) => {
    const [mount, fileSystem] = line.split(' - ');
    const [type, , options = ''] = (fileSystem ?? '').split(' ');
    const [mountRoot, mountPoint] = mount!.split(' ').slice(3, 5).map(unescaped);
    if (type !== 'cgroup2' && type !== 'cgroup') return [];
    const group = groups.find(({ controllers }) =>
      type === 'cgroup2'
        ? controllers.length === 0
        : controllers.some((name) => options.split(',').includes(name)),
    );
    if (!group) return [];
    const { controllers } = group;
    return [{ controllers, folders: foldersOf(join(root, mountPoint!), mountRoot!, group.path) }];
  });
}

/** The folder of a group in a mount that begins at `mountRoot`, then those above it. */
function foldersOf(mountPoint: string, mountRoot: string, path: string): string[] {
  const base = mountRoot === '/' ? '' : mountRoot;
  // A container may see no more than its own group, at the mount's root.
  const inside = path === base || path.startsWith(`${base}/`) ? path.slice(base.length) : '';
  const names = inside.split('/').filter((name) => name !== '' && name !== '..');
  return Array.from({ length: names.length + 1 }, (_, i) =>
    join(mountPoint, ...names.slice(0, names.length - i)),
  );
}

function smallest(values: readonly number[]): number | undefined {
  const limits = values.filter((value) => Number.isFinite(value) && value > 0);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

function lines(text: string | undefined): string[] {
  return (text ?? '').split('\n').filter((line) => line !== '');
}

/** `\040` is a space. */
function unescaped(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** Undefined where there is no such file: another system, another version. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
