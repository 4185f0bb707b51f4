import { expect } from 'chai';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { parseConfig } from '../../src/config/load.js';
import type { Engine } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { SlimclrError } from '../../src/errors.js';
import type { Manifest } from '../../src/programs/manifest.js';
import { listCheckpoints, readCheckpoint, writeCheckpoint } from '../../src/training/checkpoint.js';
import { CheckpointWriter } from '../../src/training/checkpointWriter.js';
import { TrainingState } from '../../src/training/state.js';
import { DivergenceError } from '../../src/training/steps/step.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

/** A plain parameter, a blocked one, statistics, keys, a slot and a queue, of numbers that are all different. */
const manifest = {
  parameters: [
    { name: 'fc.weight', shape: [2, 3], layout: 'plain', decay: true, slices: {} },
    { name: 'conv.weight', shape: [32, 16, 3, 3], layout: 'OIHW16i16o', decay: true, slices: {} },
  ],
  labels: ['w1.00'],
  statistics: [{ name: 'bn.running_mean', shape: [5] }],
  graphs: [{ kind: 'momentum' }],
} as unknown as Manifest;
const config = parseConfig({
  method: { kind: 'moco-v2', queueSize: 256, dimension: 2 },
  runtime: { precision: 'float16' },
});

describe('CheckpointWriter', () => {
  let engine: Engine;
  let run: string;
  before(async () => (engine = await openEngine({ provider: 'cpu', threads: 1 })));
  after(() => engine.close());
  beforeEach(() => (run = mkdtempSync(join(tmpdir(), 'slimclr-writer-'))));
  afterEach(() => removeFolder(run));

  const infoOf = (step: number) => ({ config, epoch: 1, step, fingerprint: 'f' });
  const fill = async (state: TrainingState, from: number) => {
    for (const arena of state.arenas) {
      for (const { name } of arena.entries) {
        const values = await arena.read(name);
        await arena.write(
          name,
          values.map((_, i) => from + i),
        );
        from += 1e5;
      }
    }
  };

  it('a file is, byte for byte, the one of the state when it was asked for, whatever training does to it then', async () => {
    const state = new TrainingState(engine, manifest, config);
    const writer = new CheckpointWriter({ runFolder: run, keep: 3 });
    const other = join(run, 'other');
    const written: number[] = [];
    try {
      for (const step of [1, 2]) {
        await fill(state, step);
        await writeCheckpoint(other, { ...infoOf(step), tensors: await state.tensors() }, 3);
        await writer.write(state, infoOf(step), (entry) => written.push(entry.step));
        expect(writer.isBusy).to.equal(true);
        await fill(state, NaN);
      }
      await writer.settled();
      expect(writer.isBusy).to.equal(false);
    } finally {
      await writer.close();
    }
    expect(written).to.deep.equal([1, 2]);
    const bytesOf = async (folder: string) =>
      (await listCheckpoints(folder)).map(({ path }) => readFileSync(path, 'base64'));
    expect(await bytesOf(run)).to.deep.equal(await bytesOf(other));
  });

  it('what is not finite: nothing is written, the next call says which tensor and that the last one is kept', async () => {
    const state = new TrainingState(engine, manifest, config);
    const writer = new CheckpointWriter({ runFolder: run, keep: 3 });
    try {
      await writer.write(state, infoOf(1), () => {});
      await writer.settled();
      await state.keys!.write('conv.weight', new Float32Array(32 * 16 * 9).fill(-Infinity, 7, 8));
      await writer.write(state, infoOf(2), () => expect.fail('written'));
      const error = await rejection(writer.settled());
      expect(error).to.be.instanceOf(DivergenceError);
      expect(error.message).to.match(
        /^key\.conv\.weight is not finite after step 1; the last checkpoint is kept: lower schedule\.peak/,
      );
      expect(() => writer.check()).to.throw(error.message);
      expect(await rejection(writer.write(state, infoOf(3), () => {}))).to.equal(error);
    } finally {
      await writer.close();
    }
    expect((await listCheckpoints(run)).map(({ step }) => step)).to.deep.equal([1]);
  });

  it('a folder that cannot be written: a SlimclrError that says that earlier checkpoints are kept', async () => {
    writeFileSync(join(run, 'checkpoints'), 'a file');
    const writer = new CheckpointWriter({ runFolder: run, keep: 3 });
    try {
      await writer.write(new TrainingState(engine, manifest, config), infoOf(1), () => {});
      const error = await rejection(writer.settled());
      expect(error).to.be.instanceOf(SlimclrError);
      expect(error.message).to.match(/step-00000001.* could not be written: .*earlier checkpoints are kept$/);
    } finally {
      await writer.close();
    }
  });

  it('a thread that ends while nothing is written: the next call says so, and does not wait for it', async () => {
    const workers: Worker[] = [];
    const remember = (worker: Worker) => void workers.push(worker);
    process.on('worker', remember);
    const writer = new CheckpointWriter({ runFolder: run, keep: 3 });
    try {
      const state = new TrainingState(engine, manifest, config);
      await writer.write(state, infoOf(1), () => {});
      await writer.settled();
      await workers[0]!.terminate();
      const error = await rejection(writer.write(state, infoOf(2), () => expect.fail('written')));
      expect(error).to.be.instanceOf(SlimclrError);
      expect(error.message).to.match(
        /^checkpoints could not be written: their thread has ended \(code 1\); /,
      );
    } finally {
      process.off('worker', remember);
      await writer.close();
    }
  });

  it('the best stays beside the newest, and goes when another one is', async () => {
    mkdirSync(join(run, 'checkpoints'));
    const state = new TrainingState(engine, manifest, config);
    const writer = new CheckpointWriter({ runFolder: run, keep: 2 });
    const steps = async () => {
      await writer.settled();
      return (await listCheckpoints(run)).map(({ step }) => step);
    };
    const mark = (step: number) => writer.markBest({ step, criterion: 'mean', accuracy: step / 10 });
    try {
      for (const step of [1, 2, 3, 4]) {
        await writer.write(state, infoOf(step), () => {});
        if (step < 3) mark(step);
      }
      expect(await steps()).to.deep.equal([2, 3, 4]);
      mark(4);
      expect(await steps()).to.deep.equal([3, 4]);
      writer.markBest(null);
      await writer.write(state, infoOf(5), () => {});
      await writer.write(state, infoOf(6), () => {});
      expect(await steps()).to.deep.equal([5, 6]);
      expect((await readCheckpoint((await listCheckpoints(run))[0]!.path)).step).to.equal(5);
    } finally {
      await writer.close();
    }
  });
});
