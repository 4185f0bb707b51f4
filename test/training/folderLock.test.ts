import { expect } from 'chai';
import { fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { FolderLock, lockFile } from '../../src/training/folderLock.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

interface Content {
  host: string;
  token: string;
  command: string;
  process: { pid: number; started: string | null };
  parent: { pid: number; started: string | null } | null;
}

describe('lock of a run folder', function () {
  this.timeout(60_000);
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-lock-'));
    path = join(folder, lockFile);
  });
  afterEach(() => removeFolder(folder));

  const read = () => JSON.parse(readFileSync(path, 'utf8')) as Content;

  /** Leaves a lock as another process would have, with changes. */
  async function leave(change: (content: Content) => void): Promise<string> {
    (await FolderLock.acquire(folder, { command: 'slimclr pretrain' })).release();
    const lock = await FolderLock.acquire(folder, { command: 'slimclr pretrain' });
    const content = read();
    lock.release();
    change(content);
    const text = JSON.stringify(content);
    writeFileSync(path, text);
    return text;
  }

  it('held: refused in one line that names process, host and command; given back: free, and nothing is left', async () => {
    const lock = await FolderLock.acquire(folder, { command: 'slimclr pretrain --output a' });
    const error = await rejection(FolderLock.acquire(folder, { command: 'another' }));
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.match(new RegExp(`is in use by process ${process.pid} on ${hostname()} since `));
    expect(error.message).to.include('(slimclr pretrain --output a)').and.not.include('\n');
    lock.release();
    (await FolderLock.acquire(folder, { command: 'another' })).release();
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  it('a folder made for a run that cannot begin goes again; one that holds a run stays', async () => {
    for (const holds of [false, true]) {
      const made = join(folder, 'made');
      const lock = await FolderLock.acquire(made, { command: '' });
      if (holds) writeFileSync(join(made, 'config.json'), '{}');
      lock.release();
      expect(existsSync(made)).to.equal(holds);
    }
  });

  it('a file, or a folder below one: a usage error', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    for (const path of [file, join(file, 'run')]) {
      const error = await rejection(FolderLock.acquire(path, { command: '' }));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.equal(
        `${path} is no folder, or below a file; accepted: the path of a run folder`,
      );
    }
  });

  it('of a process that has ended, or whose id another has now: taken over at once', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    await leave((content) => (content.process.pid = pid));
    (await FolderLock.acquire(folder, { command: 'next' })).release();
    if (process.platform !== 'linux') return;
    await leave((content) => (content.process.started = '1'));
    const lock = await FolderLock.acquire(folder, { command: 'next' });
    expect(read().command).to.equal('next');
    lock.release();
  });

  it('of a process whose parent has ended, which follows it: waited for', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    const child = spawn('sleep', ['60']);
    await leave((content) => {
      content.process = { pid: child.pid!, started: null };
      content.parent = { pid, started: null };
    });
    const told: string[] = [];
    const acquired = FolderLock.acquire(folder, { command: 'next', onWait: (message) => told.push(message) });
    while (told.length === 0) await sleep(10);
    child.kill('SIGKILL');
    (await acquired).release();
    expect(told).to.have.length(1);
    expect(told[0]).to.match(new RegExp(`waiting for process ${child.pid} to end, whose parent has ended`));
  });

  it('of another machine: refused while it is touched, with how to remove it; taken over when it stands still', async () => {
    const text = await leave((content) => (content.host = 'elsewhere'));
    const told: string[] = [];
    const onWait = (message: string) => told.push(message);
    const timer = setInterval(() => writeFileSync(path, text), 100);
    const error = await rejection(FolderLock.acquire(folder, { command: 'next', onWait }));
    clearInterval(timer);
    expect(error.message).to.match(
      /in use by process \d+ on elsewhere since .*if it has ended, remove .*run\.lock$/,
    );
    expect(told[0]).to.match(/waiting for a sign of life of process \d+ on elsewhere/);

    (await FolderLock.acquire(folder, { command: 'next', silence: 700 })).release();

    writeFileSync(path, text);
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(path, old, old);
    const began = performance.now();
    (await FolderLock.acquire(folder, { command: 'next' })).release();
    expect(performance.now() - began).to.be.below(30_000);
  });

  it('a file that is no lock: waited for like one of another machine', async () => {
    writeFileSync(path, '{"format":');
    (await FolderLock.acquire(folder, { command: 'next', silence: 500 })).release();
  });

  it("a holder touches it, restores it when it is removed, and is told when it is another's", async () => {
    let lost: SlimclrError | undefined;
    const lock = await FolderLock.acquire(folder, {
      command: 'a',
      beat: 20,
      onLost: (error) => (lost = error),
    });
    const text = readFileSync(path, 'utf8');
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(path, old, old);
    while (Date.now() - (await import('node:fs')).statSync(path).mtimeMs > 1_800_000) await sleep(10);
    // Whole from its first moment on.
    for (let i = 0; i < 20; i++) {
      rmSync(path);
      while (!existsSync(path)) continue;
      expect(readFileSync(path, 'utf8')).to.equal(text);
    }
    const other = text.replace(/"token": "/, '"token": "x').replace(hostname(), 'elsewhere');
    rmSync(path);
    writeFileSync(path, other);
    while (!lost) await sleep(10);
    expect(lost.message).to.match(/was taken over by process \d+ on elsewhere; this one writes nothing more/);
    lock.release();
    expect(readFileSync(path, 'utf8')).to.equal(other);
  });

  it('six processes that want it at once, and end without giving it back: one at a time has it', async () => {
    const children = Array.from({ length: 6 }, () =>
      fork(join(import.meta.dirname, 'lockChild.js'), [folder, '5'], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      }),
    );
    const ends = await Promise.all(children.map((child) => once(child, 'exit') as Promise<[number, string]>));
    expect(ends.map(([, signal]) => signal)).to.deep.equal(children.map(() => 'SIGKILL'));
    expect(existsSync(join(folder, 'inside'))).to.equal(false);
    expect(readdirSync(folder)).to.deep.equal([lockFile]);
  });
});
