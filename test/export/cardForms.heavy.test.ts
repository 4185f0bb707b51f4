import { dirname, join } from 'node:path';
import type { ExportOptions } from '../../src/export/exportRun.js';
import { exportRun } from '../../src/export/exportRun.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { chromium } from '../support/browser.js';
import { expectFeatures, linkModules, noPython, printed, type Program } from './cardPrograms.js';
import { writePictures } from './pictures.js';
import { removeFolder } from '../support/removeFolder.js';

describe('code of the model card for models of other forms: what evaluation gives for the file', function () {
  this.timeout(120_000);
  let run: TinyRun;
  let images: string[];
  before(async () => {
    run = await makeTinyRun();
    await exportRun(run.folder, { widths: [0.5] });
    await linkModules(run);
    images = await writePictures(dirname(run.folder));
  });
  after(() => removeFolder(dirname(run.folder)));

  const forms: readonly (readonly [title: string, options: ExportOptions])[] = [
    // What is resized is rounded to bytes there.
    ['bytes', { input: 'uint8-nhwc' }],
    ['resizing in the model', { resize: true }],
    ['bytes, resizing in the model', { input: 'uint8-nhwc', resize: true }],
    ['a batch of 3', { batch: 3 }],
    ['weights in a file of their own', { shared: true, head: true }],
  ];
  const missing = { Node: '', Python: noPython, browser: chromium ? '' : ' (not here: no Chromium)' };
  for (const [i, [title, options]] of forms.entries()) {
    describe(title, () => {
      let output: string;
      before(async () => {
        output = join(run.folder, `form-${i}`);
        await exportRun(run.folder, { ...options, widths: [0.5], output });
      });

      for (const program of ['Node', 'browser', 'Python'] as const satisfies readonly Program[]) {
        it(`${program}${missing[program]}`, async function () {
          if (missing[program]) return this.skip();
          const seen = images.slice(0, title === 'bytes' ? 1 : 2);
          const texts = await printed(program, output, seen);
          await expectFeatures(run, join(run.folder, 'export', 'resnet20.w0.50.onnx'), seen, texts);
        });
      }
    });
  }
});
