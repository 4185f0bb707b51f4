import { expect } from 'chai';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SlimclrError } from '../../src/errors.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { latestCheckpoint } from '../../src/training/checkpoint.js';
import { pretrain } from '../../src/training/pretrain.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { isRunning, trainingProcesses } from '../support/childProcesses.js';
import { rejection } from '../support/rejection.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

describe('training process', function () {
  this.timeout(60_000);
  let folder: string;
  let source: string;

  before(async function () {
    if (process.platform !== 'linux') return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'slimclr-process-'));
    source = join(folder, 'images');
    await writeImages(source, 24, 1);
  });
  after(() => folder && removeFolder(folder));

  /** Sends a signal to the process that trains, once, after the step. */
  const signalAfter = (step: number, signal: NodeJS.Signals) => (event: TrainingEvent) => {
    if (event.type === 'step' && event.step === step)
      process.kill(trainingProcesses(process.pid)[0]!, signal);
  };

  it('crash in a step: one line that names the signal; the checkpoint before it stays', async () => {
    const run = join(folder, 'crashed');
    // In the step after the first checkpoint, which is durable some steps after its own.
    let saved = 0;
    let crashed = false;
    const onEvent = (event: TrainingEvent) => {
      if (event.type === 'checkpoint') saved = event.step;
      if (event.type !== 'step' || saved === 0 || crashed) return;
      crashed = true;
      process.kill(trainingProcesses(process.pid)[0]!, 'SIGFPE');
    };
    const config = tinyConfig(source, { epochs: 20 });
    const error = await rejection(pretrain({ config, runFolder: run, onEvent }));
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.equal('the training process was ended by SIGFPE; the last checkpoint is kept');
    expect((await latestCheckpoint(run)).step).to.be.at.least(saved);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`${signal} to all processes of a terminal or a job: left to the parent`, async () => {
      const run = join(folder, signal);
      const config = tinyConfig(source, { epochs: 1 });
      expect(await pretrain({ config, runFolder: run, onEvent: signalAfter(1, signal) })).to.equal('done');
    });
  }

  it('a parent that is killed: ends, too', async () => {
    const config = tinyConfig(source, { epochs: 1000 });
    const parent = fork(join(import.meta.dirname, 'pretrainChild.js'), [
      JSON.stringify(config),
      join(folder, 'orphan'),
    ]);
    await once(parent, 'message');
    const [training] = trainingProcesses(parent.pid!);
    expect(isRunning(training!)).to.equal(true);
    parent.kill('SIGKILL');
    for (let waited = 0; waited < 100 && isRunning(training!); waited++) await sleep(100);
    expect(isRunning(training!)).to.equal(false);
  });
});
