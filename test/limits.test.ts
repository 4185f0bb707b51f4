import { expect } from 'chai';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { allowedCpus, memoryKills, poolThreads, processLimits, threadsWithin } from '../src/limits.js';
import { removeFolder } from './support/removeFolder.js';

describe('limits of control groups', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'slimclr-cgroup-'))));
  afterEach(() => removeFolder(root));

  /** The limits that a process finds where these are the files of the system. */
  function limits(files: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(files)) {
      const path = join(root, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `${text}\n`);
    }
    return processLimits(root);
  }

  const none = { cpus: undefined, memory: undefined };
  const v2 = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate';
  const v1 = (controllers: string, mountRoot = '/') =>
    `31 30 0:27 ${mountRoot} /sys/fs/cgroup/${controllers} rw shared:9 - cgroup cgroup rw,${controllers}`;

  it('no Linux, no control groups: none', () => {
    expect(limits({})).to.deep.equal(none);
    expect(limits({ 'proc/self/cgroup': '0::/', 'proc/self/mountinfo': v2 })).to.deep.equal(none);
  });

  it('version 2, a container that sees its own group as the root', () => {
    expect(
      limits({
        'proc/self/cgroup': '0::/',
        'proc/self/mountinfo': `22 1 0:20 / /proc rw - proc proc rw\n${v2}`,
        'sys/fs/cgroup/cpu.max': '50000 100000',
        'sys/fs/cgroup/memory.max': '2147483648',
      }),
    ).to.deep.equal({ cpus: 0.5, memory: 2 ** 31 });
  });

  it('version 2, nested: the smallest along the path, groups beside it do not count', () => {
    expect(
      limits({
        'proc/self/cgroup': '0::/a/b/c',
        'proc/self/mountinfo': v2,
        'sys/fs/cgroup/a/cpu.max': '150000 100000',
        'sys/fs/cgroup/a/memory.max': 'max',
        'sys/fs/cgroup/a/b/cpu.max': 'max 100000',
        'sys/fs/cgroup/a/b/memory.max': '1000000',
        'sys/fs/cgroup/a/b/c/cpu.max': '400000 100000',
        'sys/fs/cgroup/a/b/c/memory.max': '3000000',
        'sys/fs/cgroup/d/cpu.max': '1000 100000',
      }),
    ).to.deep.equal({ cpus: 1.5, memory: 1_000_000 });
  });

  it('version 1: hierarchies of their own, 2 ** 63 less a page for no limit', () => {
    const system = {
      'proc/self/cgroup': '5:memory:/job\n4:cpu,cpuacct:/job/step\n1:name=systemd:/\n0::/',
      'proc/self/mountinfo': `${v1('cpu,cpuacct')}\n${v1('memory')}\n${v1('cpuset')}`,
      'sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us': '250000',
      'sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us': '100000',
      'sys/fs/cgroup/cpu,cpuacct/job/step/cpu.cfs_quota_us': '-1',
      'sys/fs/cgroup/cpu,cpuacct/job/step/cpu.cfs_period_us': '100000',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
    };
    expect(limits(system)).to.deep.equal({ cpus: 2.5, memory: undefined });
    expect(limits({ 'sys/fs/cgroup/memory/job/memory.limit_in_bytes': '536870912' })).to.deep.equal({
      cpus: 2.5,
      memory: 2 ** 29,
    });
  });

  it('version 1 in a container whose mount begins at its group, at a place with a space', () => {
    expect(
      limits({
        'proc/self/cgroup': '4:cpu,cpuacct:/docker/1a2b',
        'proc/self/mountinfo': v1('cpu,cpuacct', '/docker/1a2b').replace('/sys/fs/', '/sys\\040fs/'),
        'sys fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '50000',
        'sys fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '50000',
      }),
    ).to.deep.equal({ cpus: 1, memory: undefined });
  });

  it('processes ended for want of memory: those of the own group, in either version', () => {
    limits({});
    expect(memoryKills(root)).to.equal(undefined);
    const events = (count: number) => `low 0\noom 9\noom_kill ${count}\noom_group_kill 5`;
    limits({
      'proc/self/cgroup': '0::/a/b',
      'proc/self/mountinfo': v2,
      'sys/fs/cgroup/a/memory.events': events(7),
      'sys/fs/cgroup/a/b/memory.events': events(3),
    });
    expect(memoryKills(root)).to.equal(3);
    limits({
      'proc/self/cgroup': '5:memory:/docker/1a2b\n4:cpu,cpuacct:/docker/1a2b\n0::/',
      'proc/self/mountinfo': `${v1('memory', '/docker/1a2b')}\n${v1('cpu,cpuacct', '/docker/1a2b')}\n${v2}`,
      'sys/fs/cgroup/memory/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2',
    });
    expect(memoryKills(root)).to.equal(2);
  });

  it('CPUs that a process may run on: ranges and single ones', () => {
    limits({
      'proc/self/status': 'Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t0-3,8,10-11\nMems_allowed:\t1',
    });
    expect(allowedCpus(root)).to.equal(7);
  });

  it('threads: a part of a CPU counts as one, never more than there are', () => {
    const threads = (cpus: number | undefined) => threadsWithin(8, { cpus });
    expect([0.5, 1, 1.5, 2, 16, undefined].map(threads)).to.deep.equal([1, 1, 2, 2, 8, 8]);
    const pool = (cpus: number | undefined) => poolThreads({ cpus }, 8);
    expect([0.5, 1.5, 6, undefined].map(pool)).to.deep.equal([2, 2, 6, 8]);
    expect(poolThreads({ cpus: undefined }, 2)).to.equal(4);
    const workers = (cpus: number | undefined) => threadsWithin(4, { cpus });
    expect([0.5, 1.5, 6, undefined].map(workers)).to.deep.equal([1, 2, 4, 4]);
  });
});
