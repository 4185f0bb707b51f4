import { expect } from 'chai';
import { fork } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.js';
import { UsageError } from '../../src/errors.js';
import { listCheckpoints } from '../../src/training/checkpoint.js';
import type { LoggedEvent, TrainingEvent } from '../../src/training/events.js';
import { pretrain, type PretrainOptions } from '../../src/training/pretrain.js';
import { resumedConfig } from '../../src/training/resumedConfig.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { expectSameWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

const rates = (run: string): Map<number, number> =>
  new Map(
    readFileSync(join(run, 'events.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as LoggedEvent)
      .flatMap((event) => (event.type === 'step' ? [[event.step, event.learningRate] as const] : [])),
  );

describe('pretrain, gone on', function () {
  this.timeout(120_000);
  let folder: string;
  let source: string;
  let done: string;

  const run = (config: Config, runFolder: string, others: Partial<PretrainOptions> = {}) =>
    pretrain({ config, runFolder, ...others });
  /** Interrupted after a step. */
  const until = (step: number): Partial<PretrainOptions> => {
    const controller = new AbortController();
    return {
      signal: controller.signal,
      onEvent: (event: TrainingEvent) => event.type === 'step' && event.step === step && controller.abort(),
    };
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-continued-'));
    source = join(folder, 'images');
    done = join(folder, 'done');
    await writeImages(source, 24, 1);
    expect(await run(tinyConfig(source, { epochs: 2 }), done)).to.equal('done');
  });
  after(() => removeFolder(folder));

  it('longer, interrupted at once, again in an epoch, and resumed: the weights of one that was not, bit for bit', async () => {
    const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')];
    for (const copy of [whole, parts]) cpSync(done, copy, { recursive: true });
    const config = tinyConfig(source, {
      epochs: 4,
      schedule: { kind: 'cosine', peak: 0.05, warmup: 0.25 },
    });
    const notices: string[] = [];
    const onNotice = (notice: string) => notices.push(notice);
    expect(await run(config, whole, { resume: true, onNotice })).to.equal('done');
    expect(notices.join()).to.match(
      /epochs is 4, 2 at the checkpoint.*: from step 12 on .* 3 steps .* to 0$/,
    );
    expect([...rates(whole).keys()]).to.have.lengthOf(24);
    expect(rates(whole).get(12)).to.equal(0);

    await run(config, parts, { resume: 'auto', ...until(16) });
    const again = await resumedConfig(parts);
    expect(again.continued).to.include({ step: 12 });
    await run(again, parts, { resume: true, ...until(20) });
    expect(await run(config, parts, { resume: 'auto' })).to.equal('done');
    await expectSameWeights(parts, whole);
    expect(rates(parts)).to.deep.equal(rates(whole));
  });

  it('a cool-down from a checkpoint of a constant rate: the weights of a run that was planned so', async () => {
    const constant = (epochs: number, coolDown: number) =>
      tinyConfig(source, { epochs, schedule: { kind: 'constant', peak: 0.05, warmup: 0, coolDown } });
    const [planned, late] = [join(folder, 'planned'), join(folder, 'late')];
    await run(constant(3, 1), planned);
    await run(constant(9, 0), late, until(11));
    expect(await run(constant(3, 1), late, { resume: true })).to.equal('done');
    await expectSameWeights(late, planned);
  });

  it('fewer epochs than are done: refused, the run as it was', async () => {
    const before = readFileSync(join(done, 'config.json'), 'utf8');
    const error = await rejection(
      run(tinyConfig(source, { epochs: 1, techniques: { slowStart: { kind: 'none' } } }), done, {
        resume: true,
      }),
    );
    expect(error.message).to.match(/another config: techniques\.slowStart/);
    const config = tinyConfig(source, { epochs: 2, schedule: { kind: 'cosine', peak: 0.05, warmup: 0 } });
    const fewer = await rejection(run({ ...config, epochs: 1 }, done, { resume: true }));
    expect(fewer).to.be.instanceOf(UsageError);
    expect(fewer.message).to.include('epochs 1 is fewer than the 2');
    expect(readFileSync(join(done, 'config.json'), 'utf8')).to.equal(before);
  });

  it('auto: begins, begins anew where there is no checkpoint, goes on from the newest that is whole', async () => {
    const auto = join(folder, 'auto');
    const config = tinyConfig(source, { epochs: 2 });
    const started = new AbortController();
    queueMicrotask(() => started.abort());
    expect(await run(config, auto, { resume: 'auto', signal: started.signal })).to.equal('interrupted');
    const child = fork(join(import.meta.dirname, 'pretrainChild.js'), [JSON.stringify(config), auto]);
    child.on('message', (step: number) => step === 2 && child.kill('SIGKILL'));
    await new Promise((resolve) => child.once('exit', resolve));
    expect(existsSync(join(auto, 'events.jsonl'))).to.equal(true);
    expect(existsSync(join(auto, 'checkpoints'))).to.equal(false);
    expect(await run(config, auto, { resume: 'auto', ...until(3) })).to.equal('interrupted');
    expect(await run(config, auto, { resume: 'auto' })).to.equal('done');
    await expectSameWeights(auto, done);
    expect(await run(config, auto, { resume: 'auto' })).to.equal('done');

    const [older, newest] = (await listCheckpoints(auto)).slice(-2).map(({ path }) => path);
    truncateSync(newest!, 1000);
    expect((await rejection(run(config, auto, { resume: true }))).message).to.include(`${newest}: the check`);
    const notices: string[] = [];
    const onNotice = (notice: string) => notices.push(notice);
    expect(await run(config, auto, { resume: 'auto', onNotice })).to.equal('done');
    expect(notices.join()).to.match(/^.*step-00000012.*: the checkpoint is damaged.*; going on from /);
    expect(notices.join()).to.include(older);
    await expectSameWeights(auto, done);
    for (const { path } of await listCheckpoints(auto)) truncateSync(path, 1000);
    expect((await rejection(run(config, auto, { resume: 'auto' }))).message).to.include('is damaged');
  });
});
