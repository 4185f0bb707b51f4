import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import {
  neighbours,
  processTimes,
  type ProcessTime,
  type ProcessTimes,
} from '../../../tools/bench/neighbours.js';

const processOf = (time: Partial<ProcessTime>): ProcessTime => ({
  name: 'x',
  parent: 1,
  nice: 0,
  seconds: 0,
  started: 5,
  ...time,
});

const moment = (at: number, processes: Record<number, Partial<ProcessTime>>): ProcessTimes => ({
  at,
  processes: new Map(Object.entries(processes).map(([pid, time]) => [Number(pid), processOf(time)])),
});

describe('tools/bench: neighbours', () => {
  it('shares of a core, busiest first; below 5 % none', () => {
    const before = moment(100, { 10: { seconds: 1 }, 11: { seconds: 50 }, 12: { seconds: 7 } });
    const after = moment(110, {
      10: { name: 'idle', seconds: 1.4 },
      11: { name: 'nice one', nice: 19, seconds: 54 },
      12: { name: 'two threads', seconds: 27 },
    });
    expect(neighbours(before, after, [])).to.deep.equal([
      { name: 'two threads', pid: 12, nice: 0, share: 2 },
      { name: 'nice one', pid: 11, nice: 19, share: 0.4 },
    ]);
  });

  it('a process that started in between counts with all its time, also under the id of one that ended', () => {
    const before = moment(0, { 11: { seconds: 50, started: 5 } });
    const after = moment(10, { 11: { seconds: 3, started: 900 }, 12: { seconds: 2, started: 901 } });
    expect(neighbours(before, after, []).map(({ pid, share }) => [pid, share])).to.deep.equal([
      [11, 0.3],
      [12, 0.2],
    ]);
  });

  it('those that are measured, and what they started, are no neighbours', () => {
    const after = moment(10, {
      20: { seconds: 9 },
      21: { seconds: 9, parent: 20 },
      22: { seconds: 9, parent: 21 },
      30: { seconds: 9 },
    });
    expect(neighbours(moment(0, {}), after, [20]).map(({ pid }) => pid)).to.deep.equal([30]);
  });

  it('names with spaces and parentheses; a process that has just ended is left out; no /proc, no process', () => {
    const root = mkdtempSync(join(tmpdir(), 'slimclr-proc-'));
    try {
      for (const name of ['7', '8', 'self']) mkdirSync(join(root, name));
      const zeros = Array.from({ length: 30 }, () => '0').join(' ');
      writeFileSync(
        join(root, '7', 'stat'),
        `7 (a) b (c)) S 1 7 7 0 -1 4 0 0 0 0 250 50 0 0 39 19 4 0 123456 ${zeros}\n`,
      );
      const expected = { name: 'a) b (c)', parent: 1, nice: 19, seconds: 3, started: 123456 };
      expect([...processTimes(root).processes]).to.deep.equal([[7, expected]]);
      expect(processTimes(join(root, 'none')).processes.size).to.equal(0);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it('a busy process is seen, with its priority', async function () {
    if (process.platform !== 'linux') this.skip();
    const child = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
    try {
      setPriority(child.pid!, 1);
      const before = processTimes();
      let found: ReturnType<typeof neighbours> = [];
      // On a machine that is busy with others it takes a while to get its 5 %.
      for (let i = 0; i < 100 && !found.some(({ pid }) => pid === child.pid); i++) {
        await sleep(100);
        found = neighbours(before, processTimes(), []);
      }
      const busy = found.find(({ pid }) => pid === child.pid);
      expect(busy).to.include({ nice: 1 });
    } finally {
      child.kill('SIGKILL');
    }
  });
});
