import { expect } from 'chai';
import { cpSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ablate, type AblateOptions } from '../../src/ablation/ablate.js';
import type { AblationResult } from '../../src/ablation/results.js';
import type { Config } from '../../src/config/schema.js';
import { UsageError } from '../../src/errors.js';
import { listCheckpoints } from '../../src/training/checkpoint.js';
import { FolderLock } from '../../src/training/folderLock.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { tinyConfig } from '../training/tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

/** What must not depend on how often the ablation was interrupted. */
const numbers = ({ runs }: AblationResult) =>
  runs.map(({ variant, seed, knn, ridge, gradients }) => ({ variant, seed, knn, ridge, gradients }));

describe('ablate', function () {
  this.timeout(180_000);
  let root: string;
  let config: Config;
  let options: AblateOptions;
  let reference: AblationResult;
  const started: string[] = [];
  const estimates: (number | null)[] = [];

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'slimclr-ablate-'));
    const [source, testSource] = [join(root, 'train'), join(root, 'test')];
    await writeImages(source, 12, 1);
    await writeImages(testSource, 6, 2);
    config = tinyConfig(source, { epochs: 4, tensorboard: false });
    options = {
      config,
      folder: join(root, 'reference'),
      seeds: 2,
      variants: ['naive', 'all'],
      evaluation: { testSource },
    };
    reference = await ablate({
      ...options,
      onEvent: ({ variant, seed, index, count, secondsLeft }, { type }) => {
        if (type !== 'start') return;
        started.push(`${index}/${count} ${variant} ${seed}`);
        estimates.push(secondsLeft);
      },
    });
  });
  after(() => removeFolder(root));

  it('two variants, two seeds: the variants of a seed before the next seed, all numbers in the files', () => {
    expect(started).to.deep.equal(['1/4 naive 0', '2/4 all 0', '3/4 naive 1', '4/4 all 1']);
    expect(reference).to.include({ kind: 'ablation', complete: true });
    expect(reference.failures).to.deep.equal([]);
    expect(reference.variants.map(({ name, seeds }) => [name, ...seeds])).to.deep.equal([
      ['naive', 0, 1],
      ['all', 0, 1],
    ]);
    for (const { variant, seed, knn, ridge, gradients } of reference.runs) {
      const folder = join(options.folder, variant, `seed-${seed}`);
      const read = (name: string) =>
        JSON.parse(readFileSync(join(folder, 'results', name), 'utf8')) as { widths: unknown };
      expect(read('knn.json').widths).to.deep.equal(knn);
      expect(read('probe-ridge.json').widths).to.deep.equal(ridge);
      expect(knn.map(({ label }) => label)).to.deep.equal(['w1.00', 'w0.50']);
      expect(gradients.ratio).to.be.greaterThan(0);
      expect(gradients.cosine).to.be.within(-1, 1);
    }
    const text = (name: string) => readFileSync(join(options.folder, name), 'utf8');
    expect(JSON.parse(text('ablation.json'))).to.deep.equal(reference);
    expect(text('ablation.md')).to.match(/^\| naive \| 2 \| \d+\.\d ± \d+\.\d \| \d+\.\d ± \d+\.\d \|$/m);
    expect(text('ablation.html')).to.contain('"spreads":[').and.contain('<th scope="row">naive</th>');
  });

  it('a folder in which another process works: refused, and nothing is recorded as failed', async () => {
    const before = readFileSync(join(options.folder, 'ablation.json'));
    const lock = await FolderLock.acquire(options.folder, { command: 'slimclr ablate' });
    try {
      const error = await rejection(ablate({ ...options, seeds: 3 }));
      expect(error.message).to.include(`is in use by process ${process.pid} on `);
    } finally {
      lock.release();
    }
    expect(readFileSync(join(options.folder, 'ablation.json'))).to.deep.equal(before);
    expect(existsSync(join(options.folder, 'run.lock'))).to.equal(false);
  });

  it('time left at the start of a run: its own and that of the later ones, from the finished ones', () => {
    const seconds = reference.runs.map((run) => run.trainingSeconds + run.evaluationSeconds);
    const [naive, all] = [seconds[0]!, seconds[1]!];
    expect(estimates).to.deep.equal([null, naive + naive + naive, naive + all, all]);
  });

  it('keeps one checkpoint of a run', async () => {
    expect(await listCheckpoints(join(options.folder, 'all', 'seed-1'))).to.have.length(1);
  });

  it('called again: nothing is done again', async () => {
    const again = await ablate({ ...options, onEvent: () => expect.fail('a training event') });
    expect(again).to.deep.equal(reference);
  });

  it('aborted in a training, then in an evaluation, which ends at once: partial tables, then the same numbers', async () => {
    const one = { ...options, folder: join(root, 'aborted'), seeds: 1 };
    const { folder } = one;
    const training = new AbortController();
    const first = await ablate({
      ...one,
      signal: training.signal,
      onEvent: ({ variant }, event) => {
        if (variant === 'all' && event.type === 'step' && event.step === 3) training.abort();
      },
    });
    expect(first.complete).to.equal(false);
    expect(first.runs.map(({ variant, seed }) => [variant, seed])).to.deep.equal([['naive', 0]]);
    expect(readFileSync(join(folder, 'ablation.md'), 'utf8')).to.contain('So far: runs are missing');
    const evaluation = new AbortController();
    const resumed: string[] = [];
    const evaluating: string[] = [];
    const second = await ablate({
      ...one,
      signal: evaluation.signal,
      onEvent: ({ variant, seed }, event) => {
        if (event.type === 'start') resumed.push(`${variant} ${seed} ${event.step}`);
      },
      onProgress: (_, message) => {
        evaluating.push(message);
        if (message.startsWith('features of train')) evaluation.abort();
      },
    });
    expect(evaluating.at(-1)).to.match(/^features of train images, trained encoder: /);
    // The wish to stop reaches the training process some steps later.
    expect(resumed.join()).to.match(/^all 0 ([4-9]|1[01])$/);
    expect(second.runs).to.have.length(1);
    const last = await ablate(one);
    expect(last.complete).to.equal(true);
    expect(last.runs[0]).to.deep.equal(first.runs[0]);
    expect(numbers(last)).to.deep.equal(numbers(reference).slice(0, 2));
  });

  it('more seeds in the same folder: what is there stays', async () => {
    const folder = join(root, 'extended');
    cpSync(options.folder, folder, { recursive: true });
    const more = await ablate({ ...options, folder, seeds: 3, variants: ['naive'] });
    expect(more.runs.slice(0, 4)).to.deep.equal(reference.runs);
    expect(more.runs.slice(4).map(({ variant, seed }) => [variant, seed])).to.deep.equal([['naive', 2]]);
  });

  it('a training that fails is a failure, and the next variant goes on', async () => {
    const table = { diverging: ['schedule.peak=1e30'], all: [] };
    const notices: string[] = [];
    const { variants: _, ...others } = options;
    const result = await ablate({
      ...others,
      folder: join(root, 'failing'),
      table,
      seeds: 1,
      onNotice: ({ variant }, message) => notices.push(`${variant}: ${message}`),
    });
    expect(result.complete).to.equal(false);
    expect(result.failures).to.have.length(1);
    expect(result.failures[0]).to.include({ variant: 'diverging', seed: 0 });
    expect(notices.some((notice) => notice === `diverging: ${result.failures[0]!.message}`)).to.equal(true);
    expect(result.runs.map(({ variant }) => variant)).to.deep.equal(['all']);
  });

  it('a folder of another config, table or evaluation, of something else, and no seed are refused', async () => {
    const other = join(root, 'other');
    cpSync(options.folder, other, { recursive: true, filter: (path) => !/seed-/.test(path) });
    const foreign = join(root, 'train');
    for (const [changes, message] of [
      [{ config: { ...config, epochs: 5 } }, /is of another base config: epochs is 4 there, 5 here/],
      [{ table: { naive: [], all: ['epochs=3'] } }, /is an ablation of another table: /],
      [{ evaluation: {} }, /is an ablation of another evaluation: .* \{\} here/],
      [{ folder: foreign }, /holds no ablation; accepted: a new or empty folder/],
      [{ seeds: 0 }, /seeds is 0; accepted: an integer >= 1/],
    ] as const) {
      const error = await rejection(ablate({ ...options, folder: other, variants: ['all'], ...changes }));
      expect(error, String(message)).to.be.instanceOf(UsageError);
      expect(error.message).to.match(message).and.not.contain('\n');
    }
    expect(existsSync(join(foreign, 'ablation.json'))).to.equal(false);
    writeFileSync(join(other, 'ablation.json'), '{');
    expect((await rejection(ablate({ ...options, folder: other }))).message).to.match(
      /ablation\.json: not JSON, or a part of it/,
    );
  });
});
