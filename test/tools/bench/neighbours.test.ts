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
  it('shares of a core, busiest first; of 5 % and less none', () => {
    const before = moment(100, { 10: { seconds: 1 }, 11: { seconds: 50 }, 12: { seconds: 7 } });
    const after = moment(110, {
      10: { name: 'idle', seconds: 1.4 },
      11: { name: 'nice one', nice: 19, seconds: 54 },
      12: { name: 'two threads', seconds: 27 },
    });
    expect(neighbours([before, after], [])).to.deep.equal([
      { name: 'two threads', nice: 0, count: 1, share: 2 },
      { name: 'nice one', nice: 19, count: 1, share: 0.4 },
    ]);
  });

  it('a process that started meanwhile counts with all its time, one that ended with what was seen of it', () => {
    const moments = [
      moment(0, { 11: { name: 'old', seconds: 50 } }),
      moment(5, { 11: { name: 'old', seconds: 54 }, 12: { name: 'new', seconds: 1, started: 300 } }),
      // The id of the one that ended is another's now.
      moment(10, {
        11: { name: 'other', seconds: 2, started: 900 },
        12: { name: 'new', seconds: 3, started: 300 },
      }),
    ];
    expect(neighbours(moments, []).map(({ name, share }) => [name, share])).to.deep.equal([
      ['old', 0.4],
      ['new', 0.3],
      ['other', 0.2],
    ]);
  });

  it('those of one name and priority are one: many short ones are seen', () => {
    const compilers = Object.fromEntries([1, 2, 3, 4].map((id) => [id + 20, { name: 'tsc', seconds: 0.25 }]));
    const after = moment(10, { ...compilers, 30: { name: 'tsc', nice: 5, seconds: 1 } });
    expect(neighbours([moment(0, {}), after], [])).to.deep.equal([
      { name: 'tsc', nice: 0, count: 4, share: 0.1 },
      { name: 'tsc', nice: 5, count: 1, share: 0.1 },
    ]);
  });

  it('those that are measured, and what they started, are no neighbours', () => {
    const busy = (parent: number) => ({ name: `of ${parent}`, seconds: 9, parent });
    const after = moment(10, { 20: busy(1), 21: busy(20), 22: busy(21), 30: busy(2) });
    expect(neighbours([moment(0, {}), after], [20]).map(({ name }) => name)).to.deep.equal(['of 2']);
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
    // One that nothing else here has.
    const priority = 3;
    const child = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
    try {
      setPriority(child.pid!, priority);
      const before = processTimes();
      const share = () =>
        neighbours([before, processTimes()], []).find(({ nice }) => nice === priority)?.share ?? 0;
      // On a machine that is busy with others it takes a while to get its 5 %.
      let seen = 0;
      for (let i = 0; i < 100 && seen === 0; i++) {
        await sleep(100);
        seen = share();
      }
      expect(seen).to.be.within(0.05, 1.5);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
