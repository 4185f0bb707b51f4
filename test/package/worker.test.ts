import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { openEngine } from '../../src/engines/openEngine.js';
import { affine } from '../engines/models.js';
import { stockPython } from '../support/pythons.js';
import { installTarball, type Project } from './tarball.js';

const { python, missing } = stockPython();

describe('Python worker of the tarball', function () {
  this.timeout(120_000);
  let project: Project;

  before(() => {
    project = installTarball();
  });
  after(() => project.remove());

  it('is one file that can be read at one sitting', () => {
    const worker = readFileSync(join(project.installed, 'src/engines/python/worker.py'), 'utf8');
    expect(worker.trimEnd().split('\n').length).to.be.within(50, 150);
  });

  it(`runs a graph${missing}`, async function () {
    if (missing !== '') return this.skip();
    const file = join(project.installed, 'dist/src/engines/openEngine.js');
    const engines = (await import(pathToFileURL(file).href)) as { openEngine: typeof openEngine };
    const engine = await engines.openEngine({ engine: 'python', python, provider: 'cpu', threads: 1 });
    const graph = await engine.load(affine, { name: 'affine' });
    const place = (shape: number[]) => ({ memory: engine.allocate('float32', 1), offset: 0, shape });
    const [x, y, factor] = [place([1]), place([1]), place([])];
    await engine.write(x.memory, Float32Array.of(3));
    await engine.write(factor.memory, Float32Array.of(4));
    await engine.run(engine.bind(graph, { x, factor }, { y }));
    expect(Array.from(await engine.read(y.memory))).to.deep.equal([22]);
    await engine.close();
  });
});
