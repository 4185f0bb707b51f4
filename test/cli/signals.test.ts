import { expect } from 'chai';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoggedEvent } from '../../src/training/events.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { childProcesses } from '../support/childProcesses.js';
import { slimclr, start, written, writeTinyConfig } from './slimclr.js';
import { removeFolder } from '../support/removeFolder.js';

const long = ['--set', 'epochs=1000', '--set', 'checkpoint.everyEpochs=1000'];

/** Without the line that a run may be writing. */
function eventsOf(run: string): LoggedEvent[] {
  const lines = readFileSync(join(run, 'events.jsonl'), 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as LoggedEvent);
}

describe('command line: signals, and two processes in a run folder', function () {
  this.timeout(120_000);
  let root: string;
  let config: string;

  before(async function () {
    if (process.platform === 'win32') return this.skip();
    root = await mkdtemp(join(tmpdir(), 'slimclr-signals-'));
    await writeImages(join(root, 'images'), 8, 1);
    config = writeTinyConfig(root, join(root, 'images'));
  });
  after(() => root && removeFolder(root));

  it('SIGUSR1: a checkpoint, training goes on, no debugger in either process; SIGHUP: ends like SIGTERM, with code 129', async function () {
    const output = join(root, 'run');
    const { child, exited } = start('pretrain', '--config', config, ...long, '--output', output);
    await written(child, 'training resnet20');
    // Before the first step, and in both processes, as a batch system sends it.
    for (const pid of [child.pid!, ...(process.platform === 'linux' ? childProcesses(child.pid!) : [])]) {
      process.kill(pid, 'SIGUSR1');
    }
    await written(child, 'epoch 1/1000');
    child.kill('SIGUSR1');
    await written(child, 'SIGUSR1: writing a checkpoint after this step');
    const saved = () =>
      eventsOf(output).flatMap((event) => (event.type === 'checkpoint' ? [event.step] : []));
    while (saved().length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    const [first] = saved();
    while (eventsOf(output).findLast((event) => event.type === 'step')!.step < first! + 3) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    child.kill('SIGHUP');
    const { code, stderr } = await exited;
    expect(code).to.equal(129);
    expect(stderr).to.include('SIGHUP: writing a checkpoint after this step').and.not.include('Debugger');
    const events = eventsOf(output);
    expect(events.at(-1)).to.include({ type: 'stop', reason: 'interrupted', step: saved().at(-1) });
  });

  it('--max-minutes: a checkpoint after the step that passes it, code 75; before the first step: one line, code 1', async () => {
    const output = join(root, 'limited');
    const args = ['pretrain', '--config', config, ...long, '--output', output, '--resume', 'auto'];
    const early = await slimclr(...args, '--max-minutes', '0.001');
    expect(early).to.include({
      code: 1,
      stderr: 'slimclr: the time was up before the first step; accepted: a longer time limit\n',
    });
    // The start takes its time on a busy machine.
    let [minutes, outcome] = [0.05, early];
    for (; outcome.code === 1; minutes *= 2)
      outcome = await slimclr(...args, '--max-minutes', String(minutes));
    expect(outcome.code, outcome.stderr).to.equal(75);
    expect(outcome.stderr).to.match(
      /the time is up; `slimclr pretrain --output \S+ --resume` goes on from there\n$/,
    );
    const [saved, stop] = eventsOf(output).slice(-2);
    expect(saved).to.include({ type: 'checkpoint' });
    expect(stop).to.include({ type: 'stop', reason: 'time-limit', step: (saved as { step: number }).step });
    const usage = await slimclr(...args, '--max-minutes', '0');
    expect(usage.code).to.equal(2);
    expect(usage.stderr).to.include('Accepted: a number > 0');

    // What is asked for is not written yet: to resume without it would go on as before.
    const { child, exited } = start('pretrain', '--resume', '--output', output, '--set', 'epochs=9999');
    await written(child, 'epochs is 9999');
    child.kill('SIGTERM');
    const { stderr } = await exited;
    if (!stderr.includes('after this step'))
      expect(stderr).to.include('interrupted before the first step; the same command goes on');
  });

  it('a second pretrain beside one that runs: one line that names process and host, code 1; free when it has ended', async () => {
    const output = join(root, 'two');
    const { child, exited } = start('pretrain', '--config', config, ...long, '--output', output);
    await written(child, 'training resnet20');
    const { code, stderr } = await slimclr('pretrain', '--config', config, '--output', output);
    expect(code).to.equal(1);
    expect(stderr).to.match(
      new RegExp(
        `^slimclr: .*two is in use by process ${child.pid} on \\S+ since \\S+ \\(slimclr pretrain .*\\); .*\\n$`,
      ),
    );
    child.kill('SIGKILL');
    await exited;
    const next = await slimclr('pretrain', '--config', config, '--output', output);
    expect(next.code, next.stderr).to.equal(0);
  });

  it('SIGTERM before the first step: ends without a checkpoint, code 143; the same command begins anew', async () => {
    const output = join(root, 'early');
    const { child, exited } = start('pretrain', '--config', config, ...long, '--output', output);
    await written(child, 'training resnet20');
    child.kill('SIGTERM');
    const { code, stderr } = await exited;
    expect(code).to.equal(143);
    // Unless the first step was faster than the signal.
    if (!stderr.includes('after this step')) {
      expect(stderr).to.include('interrupted before the first checkpoint; the same command begins anew');
    }
  });

  it('Ctrl-C at any moment of the start, to both processes: code 130, or the effect of the signal itself', async () => {
    for (const delay of [30, 300, 500, 700, 900]) {
      const output = join(root, `start-${delay}`);
      const { child, exited } = start('pretrain', '--config', config, ...long, '--output', output);
      await new Promise((resolve) => setTimeout(resolve, delay));
      const children = process.platform === 'linux' ? childProcesses(child.pid!) : [];
      for (const pid of [child.pid!, ...children]) process.kill(pid, 'SIGINT');
      const { code, signal, stderr } = await exited;
      expect(signal === 'SIGINT' ? 130 : code, `${delay} ms: ${stderr}`).to.equal(130);
    }
  });

  it('--resume with a torn config.json: the config of the checkpoint, with a notice', async () => {
    const output = join(root, 'torn');
    expect((await slimclr('pretrain', '--config', config, '--output', output)).code).to.equal(0);
    const file = join(output, 'config.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.slice(0, 50));
    const { code, stderr } = await slimclr('pretrain', '--output', output, '--resume');
    expect(code, stderr).to.equal(0);
    expect(stderr).to.match(/config\.json is torn: the config of .*step-00000004\.safetensors is taken\n/);
    expect(readFileSync(file, 'utf8')).to.equal(text);
  });
});
