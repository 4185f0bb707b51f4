import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { UsageError } from '../../src/errors.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { exportRun } from '../../src/export/exportRun.js';
import { exportHuggingFace } from '../../src/export/huggingFace.js';
import { decodeModel } from '../../src/onnx/model.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { codeBlocks } from '../package/markdown.js';
import { rejection } from '../support/rejection.js';
import { expectClose, linkModules, outputsOf } from './cardPrograms.js';
import { writePictures } from './pictures.js';
import { removeFolder } from '../support/removeFolder.js';

const exec = promisify(execFile);

describe('a folder for transformers.js: ResNet-20 at 16 x 16', function () {
  this.timeout(120_000);
  let run: TinyRun;
  beforeEach(async () => (run = await makeTinyRun()));
  afterEach(() => removeFolder(dirname(run.folder)));

  it('files and names', async () => {
    const exported = await exportHuggingFace(run.folder, { head: true });
    expect(exported.map(({ folder }) => folder)).to.deep.equal([
      'export/resnet20.w1.00.head.huggingface',
      'export/resnet20.w0.50.head.huggingface',
    ]);
    const folder = join(run.folder, exported[1]!.folder);
    expect((await readdir(folder)).sort()).to.deep.equal([
      'README.md',
      'config.json',
      'onnx',
      'preprocessor_config.json',
    ]);
    const { inputs, outputs } = decodeModel(await readFile(join(folder, 'onnx', 'model.onnx')));
    expect(inputs.map(({ name }) => name)).to.deep.equal(['pixel_values']);
    expect(outputs.map(({ name, type }) => [name, type.shape])).to.deep.equal([
      ['last_hidden_state', ['batch', 32]],
      ['image_embeds', ['batch', 128]],
    ]);
    const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as object;
    expect(config).to.deep.include({ model_type: 'resnet', hidden_size: 32, image_size: 16 });
  });

  it('float16: the same names, half the bytes', async () => {
    const options = { widths: [0.5], precision: 'float16', conversion: { images: 8 } } as const;
    const [half] = await exportHuggingFace(run.folder, options);
    expect(half!.folder).to.equal('export/resnet20.w0.50.fp16.huggingface');
    const { inputs, outputs } = decodeModel(
      await readFile(join(run.folder, half!.folder, 'onnx/model.onnx')),
    );
    expect([...inputs, ...outputs].map(({ name, type }) => [name, type.dtype])).to.deep.equal([
      ['pixel_values', 'float32'],
      ['last_hidden_state', 'float32'],
    ]);
    expect(half!.bytes).to.be.below(200_000);
  });

  it("transformers.js, offline, with the card's code: our features of images of any size, and the classes", async () => {
    await evaluateProbe(run.folder, { testSource: run.test, epochs: 20 });
    const { models } = await exportRun(run.folder, { classifier: true, widths: [0.5] });
    const [exported] = await exportHuggingFace(run.folder, { classifier: true, widths: [0.5] });
    const { folder } = exported!;
    const [code] = codeBlocks(await readFile(join(run.folder, folder, 'README.md'), 'utf8'), 'js');
    await writeFile(join(run.folder, 'use.mjs'), code!);
    await linkModules(run);
    const pictures = await writePictures(dirname(run.folder));
    // The last one is see-through: transformers.js forgets that.
    for (const picture of pictures.slice(0, -1)) {
      const { stdout } = await exec(process.execPath, ['use.mjs', folder, picture], { cwd: run.folder });
      const [, dims, values, classes] = /^(\[.*?\]) (.*)\n([^]*)$/.exec(stdout)!;
      expect(dims).to.equal('[ 1, 32 ]');
      const { features, logits } = await outputsOf(run, join(run.folder, models[0]!.file), picture);
      expectClose(values!.split(' ').map(Number), features!, picture);
      const [blue, red] = logits as [number, number];
      const [, label, score] = /label: '(\w+)', score: ([\d.e-]+)/.exec(classes!)!;
      expect(label).to.equal(blue > red ? 'blue' : 'red');
      expect(Number(score)).to.be.closeTo(1 / (1 + Math.exp(-Math.abs(blue - red))), 1e-4);
    }
  });

  for (const [title, options, message] of [
    [
      'bytes in',
      { input: 'uint8-nhwc' },
      'the input uint8-nhwc with the layout huggingface; accepted: float32-nchw',
    ],
    ['a batch', { batch: 1 }, 'a batch of 1 with the layout huggingface; accepted: any number'],
    [
      'shared weights',
      { shared: true },
      'shared weights with the layout huggingface; accepted: folders that stand alone',
    ],
    ['maps', { outputs: ['layer2'] }, 'the outputs layer2 with the layout huggingface; accepted: features'],
  ] as const) {
    // prettier-ignore
    it(`${title}: UsageError`, async () => {
      const error = await rejection(exportHuggingFace(run.folder, options));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.contain(message);
    });
  }
});
