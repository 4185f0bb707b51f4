import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { expect } from 'chai';
import type { Config } from '../../src/config/schema.js';
import { openSource } from '../../src/data/source.js';
import { UsageError } from '../../src/errors.js';
import { diagnose } from '../../src/evaluation/diagnose.js';
import { latestCheckpoint, readCheckpoint } from '../../src/training/checkpoint.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { checkResumable } from '../../src/training/resume.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { expectSameWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

describe('a run whose images are moved', function () {
  this.timeout(120_000);
  let folder: string;
  let source: string;
  const run = (name: string) => join(folder, name);
  const config = (from: string) => tinyConfig(from, { epochs: 2 });
  const start = (from: string, name: string, stopAfter = Infinity) => {
    const controller = new AbortController();
    const onEvent = (event: TrainingEvent) => {
      if (event.type === 'step' && event.step === stopAfter) controller.abort();
    };
    return pretrain({ config: config(from), runFolder: run(name), onEvent, signal: controller.signal });
  };
  const resume = (from: string, name: string) =>
    pretrain({ config: config(from), runFolder: run(name), resume: true });

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-moved-'));
    source = join(folder, 'images');
    await writeImages(source, 24, 1);
    expect(await start(source, 'reference')).to.equal('done');
    // The place relative to the working directory is not what a run should depend on.
    expect(await start(relative(process.cwd(), source), 'run', 3)).to.equal('interrupted');
  });
  after(() => removeFolder(folder));

  it('a relative source: the run keeps its absolute path, in the config and in the checkpoint', async () => {
    const kept = JSON.parse(readFileSync(join(run('run'), 'config.json'), 'utf8')) as Config;
    expect(kept.data.source).to.equal(source);
    const saved = await readCheckpoint((await latestCheckpoint(run('run'))).path);
    expect(saved.config.data.source).to.equal(source);
  });

  it('resumed on replaced images, whose sizes and times are those of the old ones: refused', async () => {
    const swap = () => {
      const file = (name: string, i: number) => join(source, name, `${i}.png`);
      const pair = sameSize(source);
      renameSync(file('red', pair[0]), join(folder, 'kept.png'));
      renameSync(file('red', pair[1]), file('red', pair[0]));
      renameSync(join(folder, 'kept.png'), file('red', pair[1]));
    };
    swap();
    try {
      const error = await rejection(resume(source, 'run'));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.match(/was trained on other images \(2-/);
    } finally {
      swap();
    }
  });

  it('a copy at another place: resumed to the same weights bit for bit, and measured', async () => {
    const moved = join(folder, 'moved');
    cpSync(source, moved, { recursive: true });
    expect(await resume(moved, 'run')).to.equal('done');
    await expectSameWeights(run('run'), run('reference'));
    const here = await diagnose(run('reference'), { batches: 1 });
    const there = await diagnose(run('reference'), { batches: 1, source: moved });
    expect(there.diagnostics).to.deep.equal(here.diagnostics);
    expect([here.source, there.source]).to.deep.equal([source, moved]);
  });

  it('a checkpoint that holds the fingerprint of names and sizes is accepted for these', async () => {
    const images = await openSource(source);
    const { path } = await latestCheckpoint(run('reference'));
    const saved = await readCheckpoint(path);
    const check = (fingerprint: string, limit = 0) => {
      const limited = { ...saved.config, data: { ...saved.config.data, limit } };
      const identity = limit === 0 ? images : { ...images, earlierFingerprint: null };
      checkResumable(path, { ...saved, config: limited, fingerprint }, limited, identity);
    };
    check(images.fingerprint);
    check(images.earlierFingerprint!);
    const other = createHash('sha256').update('other images').digest('hex');
    expect(() => check(other)).to.throw(UsageError, /was trained on other images/);
    expect(() => check(other, 10)).to.throw(UsageError, /of an earlier version.*with data\.limit it cannot/);
  });
});

/** Numbers of two red images whose files have the same size. */
function sameSize(source: string): [number, number] {
  const seen = new Map<number, number>();
  for (const name of readdirSync(join(source, 'red'))) {
    const [size, number] = [statSync(join(source, 'red', name)).size, parseInt(name)];
    const other = seen.get(size);
    if (other !== undefined) return [Math.min(other, number), Math.max(other, number)];
    seen.set(size, number);
  }
  throw new Error('no two files of one size');
}
