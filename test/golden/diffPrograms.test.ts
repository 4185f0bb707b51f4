import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { UsageError } from '../../src/errors.js';
import { diffPrograms } from '../../src/golden/diffPrograms.js';
import { buildPrograms } from '../../src/methods/index.js';
import { decodeModel, encodeModel } from '../../src/onnx/model.js';
import { tinyConfig } from '../programs/tiny.js';
import { removeFolder } from '../support/removeFolder.js';

describe('golden/diffPrograms', () => {
  let parent: string;
  const path = (...names: string[]) => join(parent, ...names);
  const lines = async (a: string, b: string) =>
    (await diffPrograms(path(a), path(b))).flatMap((difference) => difference.lines);

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'slimclr-diff-'));
    await buildPrograms(tinyConfig(), path('base'));
    await buildPrograms(tinyConfig({ seed: 5 }), path('seed'));
    await buildPrograms(
      tinyConfig({ optimizer: { kind: 'sgd', momentum: 0.8, decay: ['weight'] } }),
      path('optimizer'),
    );
    await buildPrograms(tinyConfig({ widths: [1] }), path('single'));
  });
  after(() => removeFolder(parent));

  it('folders of the same graphs with other weights are equal', async () => {
    expect(await lines('base', 'seed')).to.deep.equal([]);
  });

  it('another optimiser: its constant in update, and which parameters decay', async () => {
    const found = await lines('base', 'optimizer');
    expect(found).to.include('update: node Mul_1 changed: input 1 0.9:float32 -> 0.8:float32');
    expect(found).to.include(
      'manifest: parameter encoder.bn1.w1.00.gamma changed: float32[16] gamma decays w1.00=[16] -> float32[16] gamma w1.00=[16]',
    );
    expect(found.filter((line) => !/^(update|manifest):/.test(line))).to.deep.equal([]);
  });

  it('graphs that only one folder has', async () => {
    const found = await lines('base', 'single');
    expect(found.filter((line) => line.includes(': removed: '))).to.deep.equal(
      ['query.w0.50', 'combine.w0.50', 'embed.w0.50', 'calibrate.w0.50'].map(
        (name) => `${name}: removed: only in ${path('base')}`,
      ),
    );
    expect(await lines('single', 'base')).to.include(`combine.w0.50: added: only in ${path('base')}`);
  });

  it('two files: the difference under the name of the second', async () => {
    const model = decodeModel(await readFile(path('base/momentum.onnx')));
    const nodes = model.nodes.map((node) =>
      node.outputs[0] === 'new_key' ? { ...node, inputs: [...node.inputs].reverse() } : node,
    );
    await writeFile(path('reversed.onnx'), encodeModel({ ...model, nodes }));
    expect(await lines('base/momentum.onnx', 'reversed.onnx')).to.deep.equal([
      `${path('reversed.onnx')}: node new_key changed: input 0 %Mul -> %Mul_1`,
      `${path('reversed.onnx')}: node new_key changed: input 1 %Mul_1 -> %Mul`,
    ]);
  });

  it('a folder against a file, and a path that is not there: usage errors', async () => {
    const failure = (a: string, b: string) =>
      diffPrograms(path(a), path(b)).then(
        () => expect.fail('no error'),
        (error: unknown) => {
          expect(error).to.be.instanceOf(UsageError);
          return (error as UsageError).message;
        },
      );
    expect(await failure('base', 'reversed.onnx')).to.contain(
      'accepted: two program folders or two ONNX files',
    );
    expect(await failure('base', 'nowhere')).to.contain('cannot be read');
  });
});
