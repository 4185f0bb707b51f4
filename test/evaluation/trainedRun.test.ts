import { expect } from 'chai';
import { basename, dirname, join } from 'node:path';
import { diagnose } from '../../src/evaluation/diagnose.js';
import { openTrainedRun } from '../../src/evaluation/trainedRun.js';
import { UsageError } from '../../src/errors.js';
import { readModel } from '../../src/import/readModel.js';
import { checkpointFolder, readCheckpoint, writeCheckpoint } from '../../src/training/checkpoint.js';
import { markBest } from '../../src/training/checkpointIndex.js';
import { pretrain } from '../../src/training/pretrain.js';
import { resumedConfig } from '../../src/training/resumedConfig.js';
import { rejection } from '../support/rejection.js';
import { makeTinyRun, type TinyRun } from './tinyRun.js';
import { removeFolder } from '../support/removeFolder.js';

describe('a checkpoint that is named', () => {
  let run: TinyRun;
  before(async () => {
    run = await makeTinyRun();
    const newest = await readCheckpoint(run.checkpoint);
    await writeCheckpoint(run.folder, { ...newest, step: newest.step + 1 }, 3);
  });
  after(() => removeFolder(dirname(run.folder)));

  it('best, where none is known: every command says so', async () => {
    for (const attempt of [
      () => openTrainedRun(run.folder, 'best'),
      () => diagnose(run.folder, { checkpoint: 'best' }),
      () => readModel(join(run.folder, 'best')),
      () => pretrain({ config: run.config, runFolder: run.folder, resume: 'best' }),
    ]) {
      const error = await rejection(attempt());
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.match(/: no checkpoint is known as the best; accepted: a run with a monitor/);
    }
  });

  it('best: the one of the index, however old, where a run is opened, read as a model, or gone on from', async () => {
    const { step, sha256 } = await readCheckpoint(run.checkpoint);
    await markBest(checkpointFolder(run.folder), { step, criterion: 'mean', accuracy: 0.5 }, 3);
    expect(await openTrainedRun(run.folder, 'best')).to.include({
      sha256,
      checkpoint: join('checkpoints', basename(run.checkpoint)),
    });
    expect((await openTrainedRun(run.folder)).sha256).to.not.equal(sha256);
    expect(await readModel(join(run.folder, 'best'))).to.include({ sha256, path: run.checkpoint });
    const notices: string[] = [];
    const onNotice = (notice: string) => notices.push(notice);
    await resumedConfig(run.folder, { checkpoint: 'best', onNotice });
    expect(notices.join()).to.contain(run.checkpoint);
  });
});
