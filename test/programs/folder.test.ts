import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { buildPrograms } from '../../src/methods/index.js';
import { sha256 } from '../../src/onnx/hash.js';
import { decodeModel, elementCount } from '../../src/onnx/model.js';
import { readSafetensors, type TensorData } from '../../src/onnx/safetensors.js';
import type { GraphEntry, InputEntry, Manifest } from '../../src/programs/manifest.js';
import { Random } from '../../src/random.js';
import { readManifest } from '../../src/programs/readManifest.js';
import { float64Scalar, HostGraph, withoutDefaults } from '../../src/engines/hostGraph.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { tensorOf } from '../support/tensors.js';
import { StepGraphs } from '../../src/training/steps/stepGraphs.js';
import { normal } from '../support/samples.js';
import { tinyConfig } from './tiny.js';
import { removeFolder } from '../support/removeFolder.js';

const config = tinyConfig({ widths: [1, 0.75, 0.5], seed: 3 });

/** A tensor for an input that has no default; a symbolic dimension is 4. */
function data({ name, dtype, shape }: InputEntry, place: number): TensorData {
  const dims = shape.map((d) => (typeof d === 'number' ? d : 4));
  const values = normal(new Random(9, place), elementCount(dims));
  if (name === 'momentum') return float64Scalar(0.9);
  return tensorOf(dtype, values, dims);
}

/** The default of an input: parameters, those of the key network too, and statistics are in the weights file. */
function stored(weights: ReadonlyMap<string, TensorData>, { name, kind }: InputEntry): TensorData {
  return weights.get(kind === 'parameter' ? name.replace(/^key\./, '') : name)!;
}

describe('programs/folder', () => {
  let folder: string;
  let manifest: Manifest;
  let weights: ReadonlyMap<string, TensorData>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slimclr-programs-'));
    await buildPrograms(config, folder);
    manifest = await readManifest(folder);
    weights = (await readSafetensors(join(folder, manifest.weights))).tensors;
  });
  after(() => removeFolder(folder));

  const entryOf = (name: string): GraphEntry => manifest.graphs.find((graph) => graph.name === name)!;

  it('the same config gives the same bytes, file by file; another seed other weights and the same graphs', async () => {
    const files = async (path: string) => {
      const names = (await readdir(path)).sort();
      return new Map(
        await Promise.all(
          names.map(async (name) => [name, sha256(await readFile(join(path, name)))] as const),
        ),
      );
    };
    const other = await mkdtemp(join(tmpdir(), 'slimclr-programs-'));
    try {
      await buildPrograms(config, other);
      const first = await files(folder);
      expect(await files(other)).to.deep.equal(first);

      await buildPrograms({ ...config, seed: 4 }, other);
      const differing = [...(await files(other))].filter(([name, hash]) => first.get(name) !== hash);
      expect(differing.map(([name]) => name)).to.deep.equal(['manifest.json', 'weights.safetensors']);
    } finally {
      await rm(other, { recursive: true });
    }
  });

  it('the folder holds the files of the manifest and no others, each with its SHA-256', async () => {
    const named = [...manifest.graphs.map(({ file }) => file), manifest.weights, 'manifest.json'];
    expect((await readdir(folder)).sort()).to.deep.equal(named.sort());
    for (const { file, sha256: hash } of manifest.graphs) {
      expect(sha256(await readFile(join(folder, file))), file).to.equal(hash);
    }
  });

  it('inputs without a default are exactly those of kind data', async () => {
    for (const { file, inputs } of manifest.graphs) {
      const model = decodeModel(await readFile(join(folder, file)), file);
      const defaults = new Set(model.initializers.map(({ name }) => name));
      expect(inputs.map(({ name }) => name)).to.deep.equal(model.inputs.map(({ name }) => name));
      for (const { name, kind } of inputs)
        expect(defaults.has(name), `${file} ${name}`).to.equal(kind !== 'data');
    }
  });

  it('every file runs alone with only its data fed, on the weights of weights.safetensors', async () => {
    for (const entry of manifest.graphs) {
      const engine = await openEngine({ provider: 'cpu', threads: 1 });
      const path = join(folder, entry.file);
      const alone = await HostGraph.open(path, engine);
      const needed = entry.inputs.filter(({ kind }) => kind === 'data');
      const feeds = Object.fromEntries(needed.map((input, i) => [input.name, data(input, i)]));
      const outputs = await alone.run(feeds);

      const fed = await HostGraph.open(withoutDefaults(decodeModel(await readFile(path))), engine);
      // lambda of the full width is 1 + 0.75 + 0.5, of the others 1.
      const lossWeight = tensorOf('float32', [entry.width === 'w1.00' ? 2.25 : 1], []);
      const overridden = entry.inputs
        .filter(({ kind }) => kind !== 'data')
        .map((input) => [input.name, input.kind === 'scalar' ? lossWeight : stored(weights, input)] as const);
      const expected = await fed.run({ ...feeds, ...Object.fromEntries(overridden) });
      await engine.close();
      for (const { name, dtype, shape } of entry.outputs) {
        const { dtype: type, shape: dims, data } = outputs[name]!;
        expect([type, dims], name).to.deep.equal([dtype, shape.map((d) => (typeof d === 'number' ? d : 4))]);
        const values = Array.from(data as Float32Array);
        expect(values.every(Number.isFinite), `${entry.name} ${name}`).to.equal(true);
        // The two graphs may fold constants differently.
        const other = expected[name]!.data as Float32Array;
        const scale = 1e-4 * Math.max(...other.map(Math.abs)) + 1e-6;
        const worst = Math.max(...values.map((x, i) => Math.abs(x - other[i]!)));
        expect(worst, `${entry.name} ${name}`).to.be.at.most(scale);
      }
    }
  });

  it('slices are leading blocks: int(c * w), the image channels and the last layer whole', () => {
    const slices = Object.fromEntries(manifest.parameters.map(({ name, slices }) => [name, slices]));
    expect(slices['encoder.conv1.weight']).to.deep.equal({
      'w1.00': [16, 3, 3, 3],
      'w0.75': [12, 3, 3, 3],
      'w0.50': [8, 3, 3, 3],
    });
    expect(slices['encoder.layer2.0.conv1.weight']).to.deep.equal({
      'w1.00': [32, 16, 3, 3],
      'w0.75': [24, 12, 3, 3],
      'w0.50': [16, 8, 3, 3],
    });
    expect(slices['head.fc2.weight']).to.deep.equal({ 'w1.00': [6, 64], 'w0.75': [6, 48], 'w0.50': [6, 32] });
    expect(slices['head.fc2.bias']).to.deep.equal({ 'w1.00': [6], 'w0.75': [6], 'w0.50': [6] });
    expect(slices['encoder.bn1.w0.75.gamma']).to.deep.equal({ 'w0.75': [12] });
  });

  it('the gradient of a parameter at a width has the shape of its block', () => {
    for (const { name, slices } of manifest.parameters) {
      for (const [label, block] of Object.entries(slices)) {
        const gradient = entryOf(`query.${label}`).outputs.find(({ of }) => of === name)!;
        expect(gradient.shape, gradient.name).to.deep.equal(block);
      }
    }
  });

  it('parameters stand in arena order: decaying ones first, those of the full width before the others', () => {
    const groups = manifest.parameters.map(({ decay, slices }) => `${decay} ${'w1.00' in slices}`);
    const order = ['true true', 'true false', 'false true', 'false false'];
    expect(groups.filter((group, i) => group !== groups[i - 1])).to.deep.equal(order);
    const first = (group: string) => manifest.parameters[groups.indexOf(group)]!.name;
    expect(order.map(first)).to.deep.equal([
      'encoder.conv1.weight',
      'encoder.bn1.w0.75.gamma',
      'encoder.bn1.w1.00.beta',
      'encoder.bn1.w0.75.beta',
    ]);
  });

  it('decay follows optimizer.decay by role', () => {
    const roles = new Map(manifest.parameters.map(({ role, decay }) => [role, decay]));
    expect(Object.fromEntries(roles)).to.deep.equal({ weight: true, gamma: true, beta: false, bias: false });
    for (const { name, role } of manifest.parameters) expect(name.endsWith(`.${role}`), name).to.equal(true);
  });

  it('a changed file is refused when the graph is opened', async () => {
    const entry = entryOf('update');
    const changed = { ...manifest, graphs: [{ ...entry, sha256: sha256('other') }] };
    let message = '';
    const engine = await openEngine({ provider: 'cpu', threads: 1 });
    await StepGraphs.open(engine, folder, changed, ['update']).catch((error: Error) => {
      message = error.message;
    });
    await engine.close();
    expect(message).to.contain('update.onnx: not the file that the manifest describes');
  });
});
