import { expect } from 'chai';
import { fork } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import { readManifest } from '../../src/programs/readManifest.js';
import { latestCheckpoint } from '../../src/training/checkpoint.js';
import type { LoggedEvent, TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { chooseTarget } from '../../src/tuning/chooseTarget.js';
import { cpuTuningFiles, tuningKey } from '../../src/tuning/tuningCache.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { expectSameWeights, finalWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

const events = (run: string): LoggedEvent[] =>
  readFileSync(join(run, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LoggedEvent);

describe('pretrain', function () {
  this.timeout(120_000);
  let folder: string;
  let source: string;
  let reference: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-pretrain-'));
    source = join(folder, 'images');
    reference = join(folder, 'reference');
    await writeImages(source, 24, 1);
    expect(await pretrain({ config: tinyConfig(source), runFolder: reference })).to.equal('done');
  });
  after(() => removeFolder(folder));

  it('logs every step with the losses of the widths that train: the full one alone during the slow start', () => {
    const steps = events(reference).filter((event) => event.type === 'step');
    expect(steps.map(({ step }) => step)).to.deep.equal(Array.from({ length: 18 }, (_, i) => i));
    for (const { step, losses, memory } of steps) {
      expect(memory).to.be.within(1e7, 1e11);
      expect(Object.keys(losses)).to.deep.equal(step < 6 ? ['w1.00'] : ['w1.00', 'w0.50']);
      expect(losses['w1.00']).to.have.all.keys('loss', 'terms');
      if (step >= 6) {
        const { loss, terms } = losses['w0.50']!;
        expect(loss).to.be.closeTo((terms['info_nce']! + terms['distillation']!) / 2, 1e-4);
      }
    }
    expect(events(reference).at(-1)).to.include({ type: 'stop', reason: 'done', step: 18 });
  });

  it('during the slow start the other widths rest: batch norm of width 0.5 keeps its initial weights', async () => {
    const run = join(folder, 'slow');
    // Interrupted in the first epoch, so that the checkpoint is of the slow start.
    const controller = new AbortController();
    const onEvent = (event: TrainingEvent) => {
      if (event.type === 'step' && event.step === 2) controller.abort();
    };
    expect(
      await pretrain({ config: tinyConfig(source), runFolder: run, onEvent, signal: controller.signal }),
    ).to.equal('interrupted');
    const tensors = await finalWeights(run);
    const values = (name: string) => [...(tensors.get(name)!.data as Float32Array)];
    for (const value of values('encoder.bn1.w0.50.gamma')) expect(value).to.equal(1);
    for (const value of values('encoder.bn1.w0.50.running_mean')) expect(value).to.equal(0);
    expect(values('encoder.bn1.w1.00.gamma').some((value) => value !== 1)).to.equal(true);
  });

  it('killed at a random step and resumed: the same weights, bit for bit, as without interruption', async () => {
    const run = join(folder, 'killed');
    const after = 7 + new Random(Date.now()).integer(10);
    const child = fork(join(import.meta.dirname, 'pretrainChild.js'), [
      JSON.stringify(tinyConfig(source)),
      run,
    ]);
    await new Promise<void>((resolve) => {
      // The first checkpoint, of step 6, is durable before that of step 12 is begun.
      child.on('message', (step: number) => {
        if (step >= after && existsSync(join(run, 'checkpoints', 'index.json'))) child.kill('SIGKILL');
      });
      child.once('exit', () => resolve());
    });
    expect(child.signalCode, `killed after step ${after}`).to.equal('SIGKILL');
    expect(await pretrain({ config: tinyConfig(source), runFolder: run, resume: true })).to.equal('done');
    await expectSameWeights(run, reference, `after a kill at step ${after}`);
  });

  it('interrupted in an epoch and resumed: the same weights bit for bit', async () => {
    const run = join(folder, 'slow');
    expect(await pretrain({ config: tinyConfig(source), runFolder: run, resume: true })).to.equal('done');
    await expectSameWeights(run, reference);
  });

  it('resumed with other measurements in the cache: the same programs, and --tune off changes nothing', async () => {
    const cacheDirectory = join(folder, 'cache');
    const config = tinyConfig(source, { runtime: { threads: 1, tune: 'auto' } });
    const remember = async (chunk: number) => {
      // Answers to every question: whether the run folder has them from here shows in its chunks.
      const builtIn = await chooseTarget(tinyConfig(source));
      if (builtIn.target !== 'cpu') throw new Error('this machine has no blocked kernels');
      const { choices } = builtIn;
      const chunks = Object.keys(choices.chunk).map((key) => [key, chunk] as const);
      await cpuTuningFiles.write(cacheDirectory, tuningKey(1, builtIn), {
        ...choices,
        chunk: Object.fromEntries(chunks),
      });
    };
    const hashes = async (run: string) =>
      (await readManifest(join(run, 'programs'))).graphs.map(({ sha256 }) => sha256);
    const [run, other] = [join(folder, 'measured'), join(folder, 'measured-again')];
    const start = async (runFolder: string) => {
      const controller = new AbortController();
      const onEvent = ({ type }: TrainingEvent) => type === 'step' && controller.abort();
      await pretrain({ config, runFolder, cacheDirectory, onEvent, signal: controller.signal });
      return hashes(runFolder);
    };
    await remember(1);
    const programs = await start(run);
    await remember(2);
    expect(await start(other), 'other measurements, other programs').to.not.deep.equal(programs);
    const off = tinyConfig(source, { runtime: { threads: 1, tune: 'off' } });
    expect(await pretrain({ config: off, runFolder: run, cacheDirectory, resume: true })).to.equal('done');
    expect(await hashes(run)).to.deep.equal(programs);
  });

  it('a damaged tuning.json: resuming is refused', async () => {
    const run = join(folder, 'torn');
    cpSync(reference, run, { recursive: true });
    writeFileSync(join(run, 'tuning.json'), '{');
    const error = await rejection(pretrain({ config: tinyConfig(source), runFolder: run, resume: true }));
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.match(/tuning\.json: not JSON, or a part of it/);
  });

  it('a rate that blows up stops with width and step in the message and keeps the last checkpoint', async () => {
    const run = join(folder, 'diverging');
    const config = tinyConfig(source, { schedule: { kind: 'cosine', peak: 1e30, warmup: 0.5 } });
    const error = await rejection(pretrain({ config, runFolder: run }));
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.match(/^loss of width w1\.00 is (NaN|-?Infinity) at step \d+; /);
    expect(events(run).at(-1)).to.include({ type: 'stop', reason: 'diverged', message: error.message });
  });

  it('refuses a run folder that holds a run, and a checkpoint of another config, naming the keys', async () => {
    const again = await rejection(pretrain({ config: tinyConfig(source), runFolder: reference }));
    expect(again).to.be.instanceOf(UsageError);
    expect(again.message).to.match(/already holds a run; --resume/);
    const foreign = join(folder, 'foreign');
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'config.json'), '{"model_type":"bert"}');
    const taken = await rejection(
      pretrain({ config: tinyConfig(source), runFolder: foreign, resume: 'auto' }),
    );
    expect(taken).to.be.instanceOf(UsageError);
    expect(taken.message).to.match(
      /foreign.config\.json is not the config of a run and would be replaced; accepted/,
    );
    expect(readFileSync(join(foreign, 'config.json'), 'utf8')).to.equal('{"model_type":"bert"}');

    const other = tinyConfig(source, {
      method: { kind: 'moco-v2', queueSize: 32, temperature: 0.5 },
      data: { workers: 2 },
    });
    const mismatch = await rejection(pretrain({ config: other, runFolder: reference, resume: true }));
    expect(mismatch).to.be.instanceOf(UsageError);
    expect(mismatch.message).to.include('method.temperature is 0.2 there, 0.5 here');
    expect(mismatch.message).not.to.include('workers');
  });

  it('resumes with other threads, and says that bits differ', async () => {
    const run = join(folder, 'threads');
    cpSync(reference, run, { recursive: true });
    const notices: string[] = [];
    const config = tinyConfig(source, { runtime: { threads: 2 } });
    const onNotice = (notice: string) => notices.push(notice);
    expect(await pretrain({ config, runFolder: run, resume: true, onNotice })).to.equal('done');
    expect(notices.join()).to.match(/runtime\.threads is 2, 1 at the checkpoint: .* last bits/);
  });

  it('refuses to resume on other images', async () => {
    const run = join(folder, 'moved');
    cpSync(reference, run, { recursive: true });
    const other = join(folder, 'others');
    await writeImages(other, 20, 2);
    // The same source name with other files behind it.
    const config = tinyConfig(source);
    const kept = join(folder, 'kept');
    cpSync(source, kept, { recursive: true });
    rmSync(source, { recursive: true });
    cpSync(other, source, { recursive: true });
    try {
      const error = await rejection(pretrain({ config, runFolder: run, resume: true }));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.match(/trained on other images/);
    } finally {
      rmSync(source, { recursive: true });
      cpSync(kept, source, { recursive: true });
    }
  });

  it('fewer images than a batch: usage error before anything is written', async () => {
    const config = tinyConfig(source, { batchSize: 64, method: { kind: 'moco-v2', queueSize: 64 } });
    const run = join(folder, 'few');
    const error = await rejection(pretrain({ config, runFolder: run }));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(/48 images, fewer than batchSize 64/);
    expect((await rejection(latestCheckpoint(run))).message).to.include('no checkpoint');
  });
});
