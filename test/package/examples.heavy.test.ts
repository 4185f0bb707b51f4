import { HostGraph } from '../../src/engines/hostGraph.js';
import { tensorOf } from '../support/tensors.js';
import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

import ts from 'typescript';
import { writeImages } from '../evaluation/tinyRun.js';
import { codeBlocks } from './markdown.js';
import { installTarball, type Project } from './tarball.js';

/** As in a consumer's tsconfig.json; declarations of slimclr and its dependencies are checked, too. */
const strict: ts.CompilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  target: ts.ScriptTarget.ES2022,
  types: ['node'],
};
const resolutions: Readonly<Record<string, ts.CompilerOptions>> = {
  nodenext: { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  bundler: { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler },
};

/** What an example sets where it runs: a training of seconds. */
const tiny = [
  'data.source=photos',
  'epochs=2',
  'techniques.slowStart.epochs=1',
  'encoder.name=resnet20',
  'encoder.stem=cifar',
  'data.imageSize=16',
  'batchSize=8',
  'method.queueSize=16',
  'runtime.threads=1',
  'runtime.tune=off',
];

describe('examples of the documents, with the tarball installed', function () {
  this.timeout(300_000);
  let project: Project;
  /** Examples in TypeScript by file name, in the order of README. */
  const examples = new Map<string, string>();

  before(() => {
    project = installTarball();
    const { installed, folder } = project;
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    const documents = readdirSync(join(installed, 'docs')).filter((name) => name.endsWith('.md'));
    for (const document of ['README.md', ...documents.map((name) => join('docs', name))]) {
      const text = readFileSync(join(installed, document), 'utf8');
      for (const code of codeBlocks(text, 'ts')) {
        const name = `example${examples.size + 1}`;
        examples.set(name, code);
        writeFileSync(join(folder, `${name}.ts`), code);
      }
    }
  });
  after(() => project.remove());

  for (const [name, options] of Object.entries(resolutions)) {
    it(`compile: ${name}, strict, with declarations checked`, () => {
      const files = [...examples.keys()].map((example) => join(project.folder, `${example}.ts`));
      expect(files).to.have.length.of.at.least(2);
      const host = ts.createCompilerHost(strict);
      host.getCurrentDirectory = () => project.folder;
      const program = ts.createProgram(files, { ...strict, ...options, outDir: project.folder }, host);
      const found = [...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics];
      expect(ts.formatDiagnostics(found, host)).to.equal('');
    });
  }

  /** The compiled example that holds a text. */
  function example(text: string): string {
    const [name] = [...examples].find(([, code]) => code.includes(text))!;
    return join(project.folder, `${name}.js`);
  }

  function run(file: string): string {
    return execFileSync(process.execPath, [file], { cwd: project.folder, encoding: 'utf8' });
  }

  it('the graph builder: the model gives the loss and its gradient', async () => {
    run(example('regression.onnx'));
    const graph = await HostGraph.open(join(project.folder, 'regression.onnx'), {
      provider: 'cpu',
      threads: 1,
    });
    const x = Float32Array.from({ length: 640 }, (_, i) => Math.sin(i));
    const y = Float32Array.from({ length: 64 }, (_, i) => Math.cos(i));
    const w = Float32Array.from({ length: 10 }, (_, i) => i / 10);
    const outputs = await graph.run({
      x: tensorOf('float32', x, [64, 10]),
      y: tensorOf('float32', y, [64, 1]),
      w: tensorOf('float32', w, [10, 1]),
    });
    await graph.close();
    const errors = Array.from(y, (target, row) =>
      w.reduce((sum, v, i) => sum + v * x[10 * row + i]!, -target),
    );
    const gradient = Array.from(w, (_, i) =>
      errors.reduce((sum, error, row) => sum + (2 / 64) * error * x[10 * row + i]!, 0),
    );
    expect(outputs['loss']!.data[0]).to.be.closeTo(errors.reduce((sum, e) => sum + e * e, 0) / 64, 1e-5);
    for (const [i, value] of gradient.entries()) {
      expect((outputs['grad.w']!.data as Float32Array)[i]).to.be.closeTo(value, 1e-5);
    }
  });

  it('pre-training and export: the example, with settings of a training of seconds', async () => {
    await writeImages(join(project.folder, 'photos'), 8, 1);
    const compiled = readFileSync(example('pretrain'), 'utf8');
    const shortened = compiled.replace(/set: \[[^\]]*\]/, `set: ${JSON.stringify(tiny)}`);
    expect(shortened).not.to.equal(compiled);
    writeFileSync(join(project.folder, 'short.js'), shortened);
    const printed = run(join(project.folder, 'short.js'));
    expect(printed).to.match(/^0 \d+\.\d+$/m);
    expect(printed).to.match(/w0\.25\S*\.onnx/);
  });

  it('an exported model: the example of src/export/README.md', () => {
    const [code] = codeBlocks(readFileSync(join(project.installed, 'src/export/README.md'), 'utf8'), 'js');
    const exported = join(project.folder, 'runs/photos/export');
    const model = readdirSync(exported).find((name) => name.includes('w0.50'))!;
    copyFileSync(join(exported, model), join(project.folder, 'resnet20.w0.50.onnx'));
    // The example is for images of 32x32 pixels; the model at hand takes 16x16.
    const pixels = 'const size = 16, pixels = new Uint8Array(3 * size * size).fill(9);';
    const adapted = code!.replace('const [size, mean, std] = [32, ', `${pixels}\nconst [mean, std] = [`);
    expect(adapted).not.to.equal(code);
    writeFileSync(join(project.folder, 'use.js'), adapted);
    expect(run(join(project.folder, 'use.js'))).to.match(/^\[ 1, 32 \]$/m);
  });
});
