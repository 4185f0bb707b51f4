import { expect } from 'chai';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../src/errors.js';
import { diagnose } from '../../src/evaluation/diagnose.js';
import { sha256File } from '../../src/onnx/hash.js';
import { listCheckpoints, readCheckpoint, writeCheckpoint } from '../../src/training/checkpoint.js';
import type { Diagnostics } from '../../src/diagnostics/measured.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { rejection } from '../support/rejection.js';
import { tinyConfig } from '../training/tinyConfig.js';
import { writeImages } from './tinyRun.js';
import { removeFolder } from '../support/removeFolder.js';

describe('diagnose', function () {
  this.timeout(60_000);
  let root: string;
  let run: string;
  /** What training measured, by step. */
  const measured = new Map<number, Diagnostics>();

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'slimclr-diagnose-'));
    run = join(root, 'run');
    const source = join(root, 'images');
    await writeImages(source, 16, 1);
    const config = tinyConfig(source, {
      widths: [1, 0.5, 0.25],
      epochs: 2,
      accumulation: 2,
      techniques: { slowStart: { kind: 'none' } },
      // Keys that move fast, so that it shows which ones are used.
      method: { kind: 'moco-v2', queueSize: 32, keyMomentum: 0.5 },
      diagnostics: { everySteps: 1 },
    });
    const onEvent = (event: TrainingEvent) => {
      if (event.type === 'diagnostics') measured.set(event.step, event.diagnostics);
    };
    await pretrain({ config, runFolder: run, onEvent });
  });
  after(() => removeFolder(root));

  it('a step from the checkpoint of the first epoch: the numbers that training measured there', async () => {
    const [first] = await listCheckpoints(run);
    const before = await sha256File(first!.path);
    const { diagnostics, ...result } = await diagnose(run, { checkpoint: first!.path, batches: 1 });
    expect(diagnostics).to.deep.equal(measured.get(2));
    expect(diagnostics.cosines.map(({ wide, narrow }) => `${wide}-${narrow}`)).to.deep.equal([
      'w1.00-w0.50',
      'w1.00-w0.25',
      'w0.50-w0.25',
    ]);
    expect(diagnostics.queueAge).to.deep.equal({ mean: 1.5, max: 2 });
    expect(result).to.include({ step: 2, batches: 1, batchImages: 16 });
    expect(await sha256File(first!.path)).to.equal(before);
    const written: unknown = JSON.parse(readFileSync(join(run, 'results', 'diagnostics.json'), 'utf8'));
    expect(written).to.deep.equal({ diagnostics, ...result });
  });

  it('several steps after the end of training: the mean, each step on images and keys of its own', async () => {
    const one = await diagnose(run, { batches: 1 });
    const two = await diagnose(run, { batches: 2 });
    expect(two.step).to.equal(4);
    expect(two.diagnostics.queueAge).to.deep.equal({ mean: 1.5, max: 2 });
    const norm = ({ diagnostics }: typeof one) => diagnostics.gradientNorms['w0.25']!.region;
    expect(norm(two)).to.not.equal(norm(one));
    expect(norm(two)).to.be.closeTo(norm(one), norm(one) / 2);
  });

  it('float16 whose scale still overflows at the checkpoint: tried again with smaller ones, near to float32', async () => {
    const trained = join(root, 'float16');
    const config = tinyConfig(join(root, 'images'), {
      epochs: 1,
      batchSize: 16,
      techniques: { slowStart: { kind: 'none' } },
      method: { kind: 'moco-v2', queueSize: 32, headInitialization: 'uniform' },
      runtime: { precision: 'float16', lossScale: { initial: 2 ** 22 } },
    });
    let overflows = 0;
    const onEvent = (event: TrainingEvent) => event.type === 'step' && event.overflow && overflows++;
    await pretrain({ config, runFolder: trained, onEvent });
    expect(overflows, 'skipped steps of two').to.equal(2);
    const { diagnostics } = await diagnose(trained, { batches: 1 });
    const { region } = diagnostics.gradientNorms['w0.50']!;
    // No step has changed a parameter yet: this is what float32 begins with.
    const single = join(root, 'float32');
    const runtime = { precision: 'float32', target: 'portable' } as const;
    const schedule = { ...config.schedule, peak: 1e-30, warmupFrom: 0 };
    const other = { ...config, runtime: { ...config.runtime, ...runtime }, schedule };
    await pretrain({ config: other, runFolder: single });
    const expected = (await diagnose(single, { batches: 1 })).diagnostics.gradientNorms['w0.50']!.region;
    expect(region).to.be.closeTo(expected, 2e-2 * expected);
  });

  it('images that have moved: refused with the way out; with their place, the same numbers', async () => {
    const [first] = await listCheckpoints(run);
    const [images, moved] = [join(root, 'images'), join(root, 'moved')];
    renameSync(images, moved);
    try {
      const options = { checkpoint: first!.path, batches: 1 };
      const error = await rejection(diagnose(run, options));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.match(/cannot be opened \(.*images.*\); accepted instead: .*--source/);
      const { diagnostics, source } = await diagnose(run, { ...options, source: moved });
      expect(diagnostics).to.deep.equal(measured.get(2));
      expect(source).to.equal(moved);

      await writeImages(images, 16, 2);
      const others = await rejection(diagnose(run, options));
      expect(others.message).to.match(/trained on other images/);
    } finally {
      rmSync(images, { recursive: true, force: true });
      renameSync(moved, images);
    }
  });

  it('a checkpoint of which a number is not finite: one line that names width and image, no result', async () => {
    const [first] = await listCheckpoints(run);
    const result = join(run, 'results', 'diagnostics.json');
    rmSync(result, { force: true });
    const saved = await readCheckpoint(first!.path);
    const tensors = new Map(saved.tensors);
    const name = 'encoder.bn1.w0.50.beta';
    const { data, ...tensor } = tensors.get(name)!;
    tensors.set(name, { ...tensor, data: Float32Array.from(data as Float32Array, () => NaN) });
    const { path } = await writeCheckpoint(join(root, 'broken'), { ...saved, tensors }, 1);
    const error = await rejection(diagnose(run, { checkpoint: path }));
    expect(error.name).to.equal('SlimclrError');
    expect(error.message).to.match(
      /^diagnostics: loss of width w0.50 is NaN at step 2 on (blue|red)\/\d+\.png of .*images and the 15 images after it/,
    );
    expect(existsSync(result)).to.equal(false);
  });

  it('a checkpoint of another config: refused', async () => {
    const other = join(root, 'other');
    const config = tinyConfig(join(root, 'images'), {
      epochs: 1,
      techniques: { slowStart: { kind: 'none' } },
    });
    await pretrain({ config, runFolder: other });
    const [checkpoint] = await listCheckpoints(other);
    const error = await rejection(diagnose(run, { checkpoint: checkpoint!.path }));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(/the checkpoint is of another config: .*widths/);
  });

  it('a folder without a run: refused', async () => {
    const error = await rejection(diagnose(root));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(/no checkpoint/);
  });
});
