import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { exportTraining, type ExportedArtifacts } from '../../src/export/training/exportTraining.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { trainingPython } from '../support/pythons.js';
import { codeBlocks } from './markdown.js';
import { repository } from './tarball.js';
import { removeFolder } from '../support/removeFolder.js';

const document = readFileSync(join(repository, 'docs/on-device-training.md'), 'utf8');

describe('examples of docs/on-device-training.md', function () {
  this.timeout(120_000);
  const { python, missing } = trainingPython();
  let run: TinyRun;
  let exported: ExportedArtifacts;
  let scratch: string;

  before(async () => {
    run = await makeTinyRun();
    [exported] = (await exportTraining(run.folder, { widths: [0.5] })) as [ExportedArtifacts];
    scratch = mkdtempSync(join(tmpdir(), 'slimclr-document-'));
  });
  after(async () => {
    await removeFolder(dirname(run.folder));
    await removeFolder(scratch);
  });

  const losses = (printed: string) =>
    Array.from(printed.matchAll(/loss (\d+\.\d+)/g), ([, loss]) => Number(loss));
  /** Eight images of each of two grays, which are the classes. */
  const shades = Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? 60 : 190));

  it(`Python: the loss falls, a checkpoint to go on from, a model${missing}`, function () {
    if (missing) return this.skip();
    const [code] = codeBlocks(document, 'python');
    const folder = join(run.folder, exported.folder);
    const use = [
      `shades = np.array(${JSON.stringify(shades)}, np.uint8)`,
      `pixels = np.broadcast_to(shades[:, None, None, None], (16, 16, 16, 3))`,
      `labels = np.arange(16) % 2`,
      `fine_tune(${JSON.stringify(folder)}, pixels, labels, epochs=4, batch_size=6)`,
      `fine_tune(${JSON.stringify(folder)}, pixels, labels, epochs=1, checkpoint="finetuned.checkpoint")`,
    ];
    writeFileSync(join(scratch, 'use.py'), `${code}\n\n${use.join('\n')}\n`);
    const printed = execFileSync(python, [join(scratch, 'use.py')], { encoding: 'utf8' });
    const found = losses(printed);
    expect(found).to.have.lengthOf(5);
    expect(found.at(3)).to.be.below(found[0]!);
    expect(found.at(4)).to.be.below(found[3]!);
    expect(existsSync(join(folder, 'finetuned.onnx'))).to.equal(true);
  });

  it('JavaScript: the loss falls, and scores', async () => {
    const [code] = codeBlocks(document, 'js');
    const dist = join(repository, 'node_modules/onnxruntime-web-training/dist');
    const binary = join(dist, 'ort-training-wasm-simd-threaded');
    // Node has no entry `onnxruntime-web/training`, and takes the binary from the file.
    const url = (path: string) => JSON.stringify(pathToFileURL(path).href);
    const adapted = code!.replace(
      "import * as ort from 'onnxruntime-web/training';",
      [
        `import { readFileSync } from 'node:fs';`,
        `import * as ort from ${url(join(dist, 'ort.training.wasm.min.mjs'))};`,
        `ort.env.wasm.numThreads = 1;`,
        `ort.env.wasm.wasmBinary = readFileSync(${JSON.stringify(`${binary}.wasm`)});`,
        `ort.env.wasm.wasmPaths = { mjs: ${url(`${binary}.mjs`)}, wasm: ${url(`${binary}.wasm`)} };`,
      ].join('\n'),
    );
    expect(adapted).not.to.equal(code);
    const folder = join(run.folder, exported.folder);
    const server = createServer(({ url: path }, response) => response.end(readFileSync(join(folder, path!))));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const use = [
      `const shades = ${JSON.stringify(shades)};`,
      `const pixels = Uint8Array.from({ length: 16 * 768 }, (_, i) => shades[Math.floor(i / 768)]);`,
      `const labels = shades.map((_, i) => i % 2);`,
      `const folder = 'http://127.0.0.1:${port}';`,
      `const { images } = await (await fetch(folder + '/training.json')).json();`,
      `const session = await fineTune(folder, images, [{ pixels, labels }], 4);`,
      `console.log('scores', (await classify(session, pixels.subarray(0, 3 * 768), images)).length);`,
    ];
    writeFileSync(join(scratch, 'use.mjs'), `${adapted}\n${use.join('\n')}\n`);
    const ended = promisify(execFile)(process.execPath, [join(scratch, 'use.mjs')]);
    const { stdout: printed } = await ended.finally(() => server.close());
    const found = losses(printed);
    expect(found).to.have.lengthOf(4);
    expect(found.at(-1)).to.be.below(found[0]!);
    expect(printed).to.match(/^scores 6$/m);
  });
});
