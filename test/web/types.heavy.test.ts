import { expect } from 'chai';
import { join } from 'node:path';
import ts from 'typescript';
import { moduleFiles } from '../../src/demo/pageFiles.js';
import { contentOf } from '../../src/demo/site.js';
import { repository } from '../package/tarball.js';

/** As the repository is checked, but with a browser's types and without Node's. */
const browser: ts.CompilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: true,
  noEmit: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
  types: [],
};

describe("code for browsers, with a browser's types and without Node's", function () {
  this.timeout(60_000);

  it('slimclr/web and the page of the demo', () => {
    const files = ['src/web/index.ts', 'src/demo/page/page.ts', 'src/demo/page/worker.ts'];
    const paths = files.map((file) => join(repository, file));
    const program = ts.createProgram(paths, browser);
    const found = ts.getPreEmitDiagnostics(program);
    expect(ts.formatDiagnostics(found, ts.createCompilerHost(browser))).to.equal('');
  });

  it('slimclr/web imports nothing but ONNX Runtime, when a model is opened', async () => {
    const files = await moduleFiles('web/index.js');
    expect(files).to.have.property('size').above(10);
    const foreign: string[] = [];
    for (const file of files.values()) {
      const code = String(await contentOf(file));
      foreign.push(
        ...Array.from(code.matchAll(/\b(?:from|import)\s*\(?\s*'([^.'][^']*)'/g), ([text]) => text),
      );
    }
    expect(foreign).to.deep.equal(["import('onnxruntime-web'"]);
  });
});
