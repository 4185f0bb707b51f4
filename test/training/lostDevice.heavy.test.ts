import { expect } from 'chai';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LostEngineError } from '../../src/errors.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { expectSameWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

/** Chromium's software Vulkan. */
const software = '/usr/lib/chromium/libvk_swiftshader.so';
const source = 'test/support/losingDriver.c';

describe('a WebGPU device that is lost', function () {
  this.timeout(600_000);
  let folder: string;
  /** The environment as it was. */
  const before = { ...process.env };

  beforeEach(function () {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-lost-'));
    const driver = join(folder, 'driver.so');
    const compiled = existsSync(software)
      ? spawnSync('cc', ['-shared', '-fPIC', '-o', driver, source, '-ldl'], { encoding: 'utf8' })
      : null;
    if (compiled?.status !== 0) {
      const reason = compiled ? (compiled.error?.message ?? compiled.stderr) : `no ${software}`;
      this.test!.parent!.title += ` (not here: ${reason})`;
      return this.skip();
    }
    const description = { library_path: driver, api_version: '1.0.5' };
    const icd = join(folder, 'driver.json');
    writeFileSync(icd, JSON.stringify({ file_format_version: '1.0.0', ICD: description }));
    // What a training process starts with.
    Object.assign(process.env, {
      ...{ VK_ICD_FILENAMES: icd, REAL_DRIVER: software, LOSE_DEVICE: join(folder, 'lost') },
      XDG_RUNTIME_DIR: folder,
    });
  });
  afterEach(async () => {
    for (const name of ['VK_ICD_FILENAMES', 'REAL_DRIVER', 'LOSE_DEVICE', 'XDG_RUNTIME_DIR']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
    await removeFolder(folder);
  });

  it('one line; what was saved is kept, and resumed bit for bit', async () => {
    const images = join(folder, 'images');
    // Two steps an epoch: it is lost in the second, not while a checkpoint is copied, of which CopyTensors ends the process.
    await writeImages(images, 4, 1);
    const config = tinyConfig(images, {
      widths: [1],
      epochs: 3,
      batchSize: 4,
      data: { imageSize: 8 },
      method: { kind: 'moco-v2', queueSize: 16, dimension: 16 },
      techniques: { slowStart: { kind: 'none' } },
      runtime: { provider: 'webgpu' },
    });
    const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')];
    expect(await pretrain({ config, runFolder: whole })).to.equal('done');
    let isSaved = false;
    const onEvent = (event: TrainingEvent) => {
      isSaved ||= event.type === 'checkpoint';
      if (event.type === 'step' && event.step % 2 === 0 && isSaved) writeFileSync(join(folder, 'lost'), '');
    };
    const error = await rejection(pretrain({ config, runFolder: parts, onEvent }));
    expect(error).to.be.instanceOf(LostEngineError);
    expect(error.message).to.match(/^[^\n]*the device is lost \([^\n]*\); the last checkpoint is kept$/);
    rmSync(join(folder, 'lost'));
    expect(await pretrain({ config, runFolder: parts, resume: true })).to.equal('done');
    await expectSameWeights(parts, whole);
  });
});
