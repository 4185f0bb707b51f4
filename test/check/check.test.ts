import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkModels } from '../../src/check/check.js';
import type { CheckOptions } from '../../src/check/options.js';
import type { CheckRow } from '../../src/check/results.js';
import { updateGoldenModels } from '../../src/check/update.js';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { encodeModel, type OnnxModel } from '../../src/onnx/model.js';
import { encodeNpy, readNpy } from '../../src/onnx/npy.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { float32, node } from '../onnx/models.js';
import { rejection } from '../support/rejection.js';
import { smallModel, weight } from './smallModel.js';
import { removeFolder } from '../support/removeFolder.js';

describe('check', () => {
  let parent: string;
  const path = (...names: string[]) => join(parent, ...names);
  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'slimclr-check-'));
    await writeImages(path('images'), 12, 1);
    await mkdir(path('base'));
    await save('base/small.onnx', smallModel());
    await updateGoldenModels(path('base'), path('golden'), { images: path('images') });
  });
  after(() => removeFolder(parent));

  const save = (name: string, model: OnnxModel) => writeFile(path(name), encodeModel(model));
  /** What is not passed of a model against the golden ones. */
  const found = async (model: OnnxModel, options: CheckOptions = {}, against = 'golden') => {
    await save('now.onnx', model);
    return compared('now.onnx', against, options);
  };
  const compared = async (subject: string, against: string, options: CheckOptions = {}) => {
    const { passed, rows } = await checkModels(path(subject), path(against), {
      latency: false,
      // A name more is a large part of so small a file.
      bytesRatio: 1.1,
      ...options,
    });
    const others = rows.filter(({ status }) => status !== 'passed');
    expect(passed).to.equal(others.every(({ status }) => status === 'skipped'));
    return others;
  };
  const named = (rows: readonly CheckRow[]) =>
    rows.map(({ kind, item, status }) => `${kind} ${item} ${status}`);

  it('what was made golden passes, and making it golden again writes nothing', async () => {
    expect(await compared('base', 'golden')).to.deep.equal([]);
    expect(await updateGoldenModels(path('base'), path('golden'))).to.deep.equal({
      written: [],
      removed: [],
    });
  });

  it('the golden folder: the model, its structure as text, images as bytes, outputs of their size', async () => {
    const files = (await readdir(path('golden'), { recursive: true })).sort();
    const [inputs] = files.filter((file) => /^inputs.*npy$/.test(file));
    expect(files.filter((file) => file !== inputs)).to.deep.equal([
      'golden.json',
      'inputs',
      'models',
      'models/small.onnx',
      'outputs',
      'outputs/small.onnx',
      'outputs/small.onnx/0-features.npy',
      'structure',
      'structure/small.onnx.txt',
    ]);
    const images = await readNpy(path('golden', inputs!));
    expect([images.dtype, images.shape]).to.deep.equal(['uint8', [8, 16, 16, 3]]);
    // Those of images of two colours with noise, not drawn ones.
    const means = [0, 1, 2].map((c) => {
      const own = [...(images.data as Uint8Array)].filter((_, i) => i % 3 === c);
      return own.reduce((a, b) => a + b, 0) / own.length;
    });
    expect(Math.min(means[0]!, means[2]!)).to.be.above(means[1]!);
    expect((await readNpy(path('golden/outputs/small.onnx/0-features.npy'))).shape).to.deep.equal([8, 6]);
  });

  const changes: [string, (model: OnnxModel) => OnnxModel, string[], RegExp][] = [
    [
      'a weight',
      (model) => ({ ...model, initializers: smallModel({ shift: 0.05 }).initializers }),
      ['numerics features failed'],
      /^largest difference at \[\d,\d\]: /,
    ],
    [
      'a weight that is not a number',
      (model) => ({ ...model, initializers: smallModel({ shift: NaN }).initializers }),
      ['numerics features failed'],
      /NaN/,
    ],
    [
      'an attribute',
      (model) => ({ ...model, nodes: [{ ...model.nodes[0]!, attributes: { ...model.nodes[0]!.attributes, strides: [1, 1] } }, ...model.nodes.slice(1)] }), // prettier-ignore
      ['structure graph failed', 'numerics features failed'],
      /^node conv changed: attribute strides \[2,2\] -> \[1,1\]$/,
    ],
    [
      'an operator that computes the same',
      (model) => ({ ...model, nodes: [...model.nodes.slice(0, 2), node('Reshape', ['pool', 'shape'], ['features'])], initializers: [...model.initializers, { name: 'shape', type: { dtype: 'int64', shape: [2] }, data: { kind: 'inline', values: BigInt64Array.of(0n, -1n) } }] }), // prettier-ignore
      ['structure graph failed'],
      /^node features changed: operator Flatten -> Reshape$/,
    ],
    [
      'the operator set',
      (model) => ({ ...model, opsets: { '': 18 } }),
      ['structure graph failed'],
      /^opset ai.onnx changed: 17 -> 18$/,
    ],
    [
      'the IR version',
      (model) => ({ ...model, irVersion: 9 }),
      ['structure graph failed'],
      /^IR version changed: 8 -> 9$/,
    ],
    [
      'more features',
      () => smallModel({ channels: 7 }),
      ['structure graph failed', 'numerics features failed', 'budget bytes failed'],
      /^constant w changed: float32\[6,3,3,3\] -> float32\[7,3,3,3\]$/,
    ],
    [
      'a fixed batch',
      () => smallModel({ batch: 4 }),
      ['structure graph failed'],
      /^input pixels changed: float32\[batch,3,16,16\] -> float32\[4,3,16,16\]$/,
    ],
    [
      'the name of an input',
      (model) => ({ ...model, inputs: [float32('images', 'batch', 3, 16, 16)], nodes: [{ ...model.nodes[0]!, inputs: ['images', 'w', 'b'] }, ...model.nodes.slice(1)] }), // prettier-ignore
      ['structure graph failed', 'numerics run failed'],
      /^input pixels removed: /,
    ],
    [
      'a second output',
      (model) => ({ ...model, outputs: [...model.outputs, float32('pool', 'batch', 6, 1, 1)] }),
      ['structure graph failed', 'numerics pool failed'],
      /^output pool added: /,
    ],
    [
      'a weight that nothing reads',
      (model) => ({ ...model, initializers: [...model.initializers, weight('spare', [40], 3)] }),
      ['structure graph failed', 'budget bytes failed'],
      /^constant spare added: float32\[40\]$/,
    ],
    [
      'a model that ONNX Runtime refuses',
      (model) => ({ ...model, nodes: [...model.nodes.slice(0, 2), node('NoSuch', ['pool'], ['features'])] }),
      ['structure graph failed', 'numerics run failed'],
      /^node features changed: operator Flatten -> NoSuch$/,
    ],
  ];
  for (const [what, change, expected, line] of changes) {
    it(`${what} changed: the check names it`, async () => {
      const rows = await found(change(smallModel()));
      expect(named(rows)).to.deep.equal(expected);
      expect(
        rows.flatMap(({ details }) => details).some((text) => line.test(text)),
        JSON.stringify(rows),
      ).to.equal(true);
    });
  }

  it('inner names, the name of the graph, and metadata of others: notes, not changes', async () => {
    const [conv, pool, flatten] = smallModel().nodes;
    await save('now.onnx', {
      ...smallModel({ metadata: { date: 'today' } }),
      graphName: 'other',
      nodes: [
        { ...conv!, outputs: ['/conv/out'] },
        { ...pool!, inputs: ['/conv/out'], outputs: ['/pool/out'] },
        { ...flatten!, inputs: ['/pool/out'] },
      ],
    });
    const { passed, rows } = await checkModels(path('now.onnx'), path('golden'), {
      latency: false,
      bytesRatio: 2,
    });
    expect(passed, JSON.stringify(rows)).to.equal(true);
    expect(rows[0]!.notes).to.deep.equal([
      'graph changed: name small -> other',
      '2 values renamed, first %conv -> %/conv/out',
      'metadata date changed: (none) -> today',
    ]);
  });

  it('our metadata: what images need is a change, where the weights come from is none', async () => {
    const ours = { slimclr: '0.1.0', checkpoint: 'a', mean: '[0.5,0.5,0.5]' };
    await mkdir(path('ours'), { recursive: true });
    await save('ours/small.onnx', smallModel({ metadata: ours }));
    await updateGoldenModels(path('ours'), path('golden-ours'));
    expect(
      await found(smallModel({ metadata: { ...ours, checkpoint: 'b' } }), {}, 'golden-ours'),
    ).to.deep.equal([]);
    const rows = await found(smallModel({ metadata: { ...ours, mean: '[0.4,0.5,0.5]' } }), {}, 'golden-ours');
    expect(rows.flatMap(({ details }) => details)).to.deep.equal([
      'metadata mean changed: [0.5,0.5,0.5] -> [0.4,0.5,0.5]',
    ]);
  });

  it('tolerance: a small difference passes within it, and not below', async () => {
    const model = smallModel({ shift: 0.001 });
    const [row] = await found(model, { tolerance: 1e-9 });
    expect(row!.now).to.be.within(1e-5, 1e-2);
    expect(await found(model, { tolerance: row!.now! })).to.deep.equal([]);
    expect(named(await found(model, { tolerance: 0.999 * row!.now! }))).to.deep.equal([
      'numerics features failed',
    ]);
  });

  it('a model of a fixed batch takes the golden images piece by piece, and gives the same', async () => {
    for (const batch of [1, 3, 8]) {
      const rows = await found(smallModel({ batch }));
      expect(named(rows), String(batch)).to.deep.equal(['structure graph failed']);
    }
  });

  it('without the model: the same checks but latency', async () => {
    await updateGoldenModels(path('base'), path('golden-light'), {
      images: path('images'),
      keepModels: false,
    });
    expect(await readdir(path('golden-light'))).not.to.include('models');
    const rows = await compared('base', 'golden-light', { latency: true });
    expect(named(rows)).to.deep.equal(['budget latency skipped']);
    expect(named(await found(smallModel({ shift: 1 }), {}, 'golden-light'))).to.deep.equal([
      'numerics features failed',
    ]);
  });

  it('latency: many times the work is too slow, the same work is not measured', async () => {
    const slow: OnnxModel = {
      ...smallModel(),
      initializers: [...smallModel().initializers, weight('m', [128, 128], 5), weight('zero', [128, 6], 6)],
      nodes: [
        ...smallModel().nodes.slice(0, 2),
        node('Flatten', ['pool'], ['flat'], { axis: 1 }),
        ...Array.from({ length: 40 }, (_, i) =>
          node('MatMul', [i === 0 ? 'm' : `m${i - 1}`, 'grow'], [`m${i}`]),
        ),
        node('MatMul', ['m39', 'zero'], ['tail']),
        node('ReduceMean', ['tail'], ['mean'], { axes: [0], keepdims: 1 }),
        node('Add', ['flat', 'mean'], ['features']),
      ],
    };
    // A product that depends on the image, so that nothing is folded.
    const grown = [
      node('ReduceMean', ['pool'], ['one'], { axes: [0, 1, 2, 3], keepdims: 0 }),
      node('Mul', ['m', 'one'], ['grow']),
    ];
    const nodes = [...slow.nodes.slice(0, 2), ...grown, ...slow.nodes.slice(2)];
    const rows = await found({ ...slow, nodes }, { latency: true });
    const latency = rows.find(({ item }) => item === 'latency')!;
    expect(latency.status).to.equal('failed');
    expect(latency.now!).to.be.above(latency.limit!);
    expect(latency.limit!).to.be.closeTo(1.25 * latency.golden!, 1e-9);
    expect(await compared('base', 'golden', { latency: true })).to.deep.equal([]);
  });

  it('kNN of labelled images: at the golden folder, below it, and not asked for', async () => {
    const labelled = path('images');
    await updateGoldenModels(path('base'), path('golden-knn'), { images: labelled, labelled });
    const { models } = JSON.parse(await readFile(path('golden-knn/golden.json'), 'utf8')) as {
      models: [{ accuracy: { knn: number; images: number; output: string } }];
    };
    expect(models[0].accuracy).to.include({ knn: 1, images: 24, output: 'features' });
    expect(await compared('base', 'golden-knn', { labelled })).to.deep.equal([]);
    expect(named(await compared('base', 'golden-knn'))).to.deep.equal(['accuracy knn skipped']);
    // By other labels it is measured anew, and told apart from that of the folders.
    const labels = path('labels.csv');
    const rows = ['blue', 'red'].flatMap((c) => [...Array(12).keys()].map((i) => `${c}/${i}.png,${i % 2}`));
    await writeFile(labels, rows.join('\n'));
    await updateGoldenModels(path('base'), path('golden-labels'), { images: labelled, labelled, labels });
    const byLabels = JSON.parse(await readFile(path('golden-labels/golden.json'), 'utf8')) as {
      models: [{ accuracy: { knn: number; images: number } }];
    };
    expect(byLabels.models[0].accuracy.knn).to.be.below(1);
    expect(await compared('base', 'golden-labels', { labelled, labels })).to.deep.equal([]);
    // Features that tell nothing of the image.
    const blind = smallModel();
    const silent = { ...blind, initializers: [{ ...weight('w', [6, 3, 3, 3], 1), data: { kind: 'inline', values: new Float32Array(162) } } as const, blind.initializers[1]!] }; // prettier-ignore
    const wrong = await found(silent, { labelled }, 'golden-knn');
    expect(named(wrong)).to.deep.equal(['numerics features failed', 'accuracy knn failed']);
    expect(wrong[1]).to.include({ golden: 1, now: 0.5, limit: 0.995 });
    expect(named(await found(silent, { labelled, drop: 50 }, 'golden-knn'))).to.deep.equal([
      'numerics features failed',
    ]);
    // Of other images there is no golden number: both models are measured.
    await writeImages(path('others'), 5, 3);
    const others = await found(silent, { labelled: path('others') }, 'golden-knn');
    expect(others[1]).to.include({ item: 'knn', golden: 1, status: 'failed' });
  });

  it('a model against an older one, without a golden folder; a model that is added and one that is gone', async () => {
    await save('old.onnx', smallModel());
    expect(await found(smallModel(), {}, 'old.onnx')).to.deep.equal([]);
    expect(
      named(await found(smallModel({ shift: 0.1 }), { images: path('images') }, 'old.onnx')),
    ).to.deep.equal(['numerics features failed']);
    await cp(path('base'), path('two'), { recursive: true });
    await save('two/large.onnx', smallModel({ channels: 9 }));
    const reasons = (rows: readonly CheckRow[]) => rows.map(({ model, reason }) => `${model} ${reason}`);
    expect(reasons(await compared('two', 'golden'))).to.deep.equal([
      'large.onnx added: there is no golden model of this name',
    ]);
    await updateGoldenModels(path('two'), path('golden-two'));
    await rm(path('two/small.onnx'));
    await save('two/third.onnx', smallModel({ channels: 3 }));
    expect(reasons(await compared('two', 'golden-two'))).to.deep.equal([
      'small.onnx removed: the golden model is gone',
      'third.onnx added: there is no golden model of this name',
    ]);
    const { removed } = await updateGoldenModels(path('two'), path('golden-two'));
    expect([...removed].sort()).to.deep.equal(['models/small.onnx', 'outputs/small.onnx/0-features.npy', 'structure/small.onnx.txt']); // prettier-ignore
    expect(await compared('two', 'golden-two')).to.deep.equal([]);
  });

  it('several inputs and outputs, integers, and shapes that only a run tells', async () => {
    const model: OnnxModel = {
      ...smallModel(),
      inputs: [
        float32('pixels', 'batch', 3, 16, 16),
        float32('bias', 'batch', 6),
        { name: 'k', type: { dtype: 'int64', shape: [1] } },
      ],
      outputs: [
        float32('sum', 'batch', 6),
        float32('top', '', ''),
        { name: 'index', type: { dtype: 'int64', shape: ['', ''] } },
      ],
      nodes: [
        ...smallModel().nodes,
        node('Add', ['features', 'bias'], ['sum']),
        node('TopK', ['sum', 'k'], ['top', 'index']),
      ],
    };
    await mkdir(path('many'), { recursive: true });
    await save('many/many.onnx', model);
    await mkdir(path('fixed'), { recursive: true });
    await writeFile(
      path('fixed/k.npy'),
      encodeNpy({ dtype: 'int64', shape: [1], data: BigInt64Array.of(3n) }),
    );
    await updateGoldenModels(path('many'), path('golden-many'), {
      inputs: path('fixed'),
      images: path('images'),
    });
    expect((await readNpy(path('golden-many/outputs/many.onnx/2-index.npy'))).shape).to.deep.equal([8, 3]);
    expect(await compared('many', 'golden-many')).to.deep.equal([]);
    const sorted = { ...model, nodes: [...model.nodes.slice(0, -1), node('TopK', ['sum', 'k'], ['top', 'index'], { largest: 0 })] }; // prettier-ignore
    expect(named(await found(sorted, {}, 'golden-many'))).to.deep.equal([
      'structure graph failed',
      'numerics top failed',
      'numerics index failed',
    ]);
    await writeFile(
      path('fixed/k.npy'),
      encodeNpy({ dtype: 'int64', shape: [2], data: BigInt64Array.of(3n, 1n) }),
    );
    const error = await rejection(
      updateGoldenModels(path('many'), path('golden-many'), { inputs: path('fixed') }),
    );
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(/k\.npy: int64\[2\]; the input k takes int64\[1\]$/);
  });

  it('external data: counted, kept in the golden folder, named when they are gone', async () => {
    const model = smallModel();
    const [w, b] = model.initializers as [(typeof model.initializers)[0], (typeof model.initializers)[0]];
    const values = w.data.kind === 'inline' ? (w.data.values as Float32Array) : new Float32Array();
    const external = {
      kind: 'external',
      location: 'weights/w.bin',
      offset: 0,
      length: values.byteLength,
    } as const;
    await mkdir(path('external/weights'), { recursive: true });
    await writeFile(path('external/weights/w.bin'), new Uint8Array(values.buffer));
    await save('external/small.onnx', { ...model, initializers: [{ ...w, data: external }, b] });
    await updateGoldenModels(path('external'), path('golden-external'), { images: path('images') });
    expect((await readFile(path('golden-external/models/weights/w.bin'))).byteLength).to.equal(
      values.byteLength,
    );
    expect(await compared('external', 'golden-external', { latency: false })).to.deep.equal([]);
    // The same weights inside: the structure is the same, and as many bytes.
    expect(await compared('base', 'golden-external', { bytesRatio: 1.2 })).to.deep.equal([]);
    await rm(path('external/weights/w.bin'));
    const rows = await compared('external', 'golden-external');
    expect(rows.map(({ item, reason }) => [item, reason])).to.deep.equal([
      ['model', `${path('external/small.onnx')}: its external data weights/w.bin are not there`],
    ]);
  });

  it('a large output is kept in part, and a difference anywhere in what is kept is found', async () => {
    const model: OnnxModel = {
      ...smallModel({ channels: 64 }),
      outputs: [float32('conv', 'batch', 64, 16, 16)],
      nodes: [node('Conv', ['pixels', 'w', 'b'], ['conv'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })],
    };
    await mkdir(path('maps'), { recursive: true });
    await save('maps/maps.onnx', model);
    await updateGoldenModels(path('maps'), path('golden-maps'), { images: path('images') });
    const { shape } = await readNpy(path('golden-maps/outputs/maps.onnx/0-conv.npy'));
    expect(shape).to.deep.equal([Math.ceil((8 * 64 * 256) / 3)]);
    expect(await compared('maps', 'golden-maps')).to.deep.equal([]);
    const [w, b] = model.initializers;
    const bias = Float32Array.from({ length: 64 }, (_, i) => 0.1 * i + (i === 63 ? 0.5 : 0));
    const changed = {
      ...model,
      initializers: [w!, { ...b!, data: { kind: 'inline', values: bias } } as const],
    };
    const [row] = await found(changed, {}, 'golden-maps');
    expect(row!.item).to.equal('conv');
    expect(row!.details[0]).to.match(/at \[\d,63,\d+,\d+\]/);
  });

  describe('wrong usage and damage', () => {
    const failure = async (subject: string, against: string, options: CheckOptions = {}) => {
      const error = await rejection(checkModels(path(subject), path(against), options));
      expect(error).to.be.instanceOf(SlimclrError);
      expect(error.message).not.to.include('\n');
      return error as SlimclrError;
    };

    it('paths that are not there, or hold no models', async () => {
      expect(await failure('nowhere', 'golden')).to.include({ exitCode: 2, message: `${path('nowhere')}: does not exist; accepted: an ONNX model, a folder of them, or a run with exported models` }); // prettier-ignore
      expect((await failure('base', 'nowhere')).message).to.include(
        'accepted: a golden folder, which --update writes',
      );
      expect(await failure('images', 'golden')).to.include({ exitCode: 2 });
    });

    it('a folder that holds something else is not written', async () => {
      const error = await rejection(updateGoldenModels(path('base'), path('images')));
      expect(error).to.be.instanceOf(UsageError);
      expect(await readdir(path('images'))).to.deep.equal(['blue', 'red']);
    });

    it('a golden folder with a pointer of Git LFS in place of a model, one without its outputs, one of another kind', async () => {
      await cp(path('golden'), path('broken'), { recursive: true });
      await writeFile(path('broken/models/small.onnx'), 'version https://git-lfs.github.com/spec/v1\n');
      expect((await failure('base', 'broken')).message).to.include('not the file that golden.json names');
      await rm(path('broken'), { recursive: true });
      await cp(path('golden'), path('broken'), { recursive: true });
      await rm(path('broken/outputs'), { recursive: true });
      expect((await failure('base', 'broken')).message).to.include('0-features.npy is missing');
      await writeFile(path('broken/golden.json'), '{"kind": "other"}');
      expect((await failure('base', 'broken')).message).to.include('kind is "other"');
    });

    it('a golden.json that names files outside its folder', async () => {
      await cp(path('golden'), path('outside'), { recursive: true });
      const text = await readFile(path('outside/golden.json'), 'utf8');
      await writeFile(path('outside/golden.json'), text.replace(/"inputs\/[^"]*"/, '"../images/x.npy"'));
      expect((await failure('base', 'outside')).message).to.include('accepted: a path in the folder');
    });

    it('kNN of a model that takes no images', async () => {
      await save('vector.onnx', {
        ...smallModel(),
        inputs: [float32('x', 'batch', 4)],
        outputs: [float32('y', 'batch', 4)],
        initializers: [],
        nodes: [node('Relu', ['x'], ['y'])],
      });
      const error = await failure('vector.onnx', 'vector.onnx', { labelled: path('images') });
      expect(error).to.include({ exitCode: 2, message: 'kNN of a model of the inputs x; accepted: a model whose only input are images' }); // prettier-ignore
    });

    it('an input that nothing can be made up for', async () => {
      await save('odd.onnx', {
        ...smallModel(),
        inputs: [{ name: 'x', type: { dtype: 'float32', shape: [2] }, sequence: true }],
        outputs: [float32('y', 2)],
        initializers: [],
        nodes: [node('ConcatFromSequence', ['x'], ['y'], { axis: 0 })],
      });
      expect((await failure('odd.onnx', 'odd.onnx')).message).to.match(/^input x is sequence\(float32\)/);
    });
  });
});
