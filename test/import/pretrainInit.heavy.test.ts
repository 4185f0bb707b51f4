import { expect } from 'chai';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readModel } from '../../src/import/readModel.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { latestCheckpoint, readCheckpointInfo } from '../../src/training/checkpoint.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { resumedConfig } from '../../src/training/resumedConfig.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { expectSameWeights } from '../training/sameWeights.js';
import { tinyConfig } from '../training/tinyConfig.js';
import { fixture } from './comparison.js';
import { removeFolder } from '../support/removeFolder.js';

describe('pretrain --init', function () {
  this.timeout(120_000);
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-init-'));
    await writeImages(join(folder, 'images'), 24, 1);
  });
  after(() => removeFolder(folder));

  it('interrupted, the file gone, and resumed: the same weights bit for bit as without interruption', async () => {
    const file = join(folder, 'plain.pth');
    copyFileSync(fixture('plain.pth'), file);
    const config = tinyConfig(join(folder, 'images'), {
      // Long enough that a run that is told to end at its first step does not reach its last one.
      epochs: 4,
      techniques: { slowStart: { kind: 'none' } },
      init: { file },
    });
    const run = (name: string) => join(folder, name);
    const notices: string[] = [];
    const onNotice = (line: string) => notices.push(line);
    expect(await pretrain({ config, runFolder: run('whole'), onNotice })).to.equal('done');
    expect(notices.join('\n')).to.match(
      /plain\.pth: \d+ tensors taken \(encoder\); batch norm of w0\.50 .*; drawn: head/,
    );

    // The programs' weights are those that the run began with.
    const { tensors } = await readModel(file);
    const begun = (await readSafetensors(join(run('whole'), 'programs', 'weights.safetensors'))).tensors;
    const norm = 'encoder.layer3.2.bn2.w1.00.gamma';
    expect([...(begun.get(norm)!.data as Float32Array)]).to.deep.equal([
      ...(tensors.get(norm)!.data as Float32Array),
    ]);

    const controller = new AbortController();
    const onEvent = (event: TrainingEvent) => {
      if (event.type === 'step') controller.abort();
    };
    const { signal } = controller;
    expect(await pretrain({ config, runFolder: run('parts'), onEvent, signal })).to.equal('interrupted');
    rmSync(file);
    const resumed = await resumedConfig(run('parts'));
    expect(resumed.init.sha256).to.match(/^[0-9a-f]{64}$/);
    expect(await pretrain({ config: resumed, runFolder: run('parts'), resume: true })).to.equal('done');
    await expectSameWeights(run('parts'), run('whole'));
    const { config: saved } = await readCheckpointInfo((await latestCheckpoint(run('parts'))).path);
    expect(saved.init).to.deep.equal(resumed.init);
  });
});
