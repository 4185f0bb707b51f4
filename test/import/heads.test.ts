import { expect } from 'chai';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importRun } from '../../src/import/importRun.js';
import { withWeights } from '../../src/import/weightsFile.js';
import { writeSafetensors, type TensorData } from '../../src/onnx/safetensors.js';
import { latestCheckpoint, readCheckpoint } from '../../src/training/checkpoint.js';
import { fixture } from './comparison.js';
import { removeFolder } from '../support/removeFolder.js';

/** Shapes by name, as the modules of a head have them: `bn` is a batch norm of so many channels at each width. */
type Shapes = Readonly<Record<string, readonly number[]>>;

const bn = (name: string, channels: readonly number[], affine = true): Shapes =>
  Object.fromEntries(
    channels.flatMap((count, i) =>
      ['running_mean', 'running_var', ...(affine ? ['weight', 'bias'] : [])].map((tensor) => [
        channels.length === 1 ? `${name}.${tensor}` : `${name}.bn.${i}.${tensor}`,
        [count],
      ]),
    ),
  );

const mocoV3 = (...hidden: readonly number[]): Shapes => ({
  'fc.0.weight': [96, 64],
  ...bn('fc.1', hidden),
  'fc.3.weight': [32, 96],
  ...bn(
    'fc.4',
    hidden.map(() => 32),
    false,
  ),
});
const predictor = (...hidden: readonly number[]): Shapes => ({
  'predictor.0.weight': [96, 32],
  ...bn('predictor.1', hidden),
  'predictor.3.weight': [32, 96],
});

describe('import: the head of a file', () => {
  let folder: string;
  /** The encoder of a file by the names behind its prefix. */
  const encoders = new Map<string, ReadonlyMap<string, TensorData>>();
  let count = 0;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slimclr-heads-'));
    for (const [name, prefix] of [
      ['plain', ''],
      ['slimclr', 'module.encoder_q.'],
    ] as const) {
      await withWeights(fixture(`${name}.pth`), undefined, async ({ tensors }) => {
        const encoder = new Map<string, TensorData>();
        for (const [theirs, tensor] of tensors) {
          const rest = theirs.startsWith(prefix) ? theirs.slice(prefix.length) : '';
          if (/^(conv1|bn1|layer\d|features)\./.test(rest) && !rest.endsWith('tracked')) {
            encoder.set(rest, { dtype: 'float32', shape: tensor.shape, data: await tensor.read() });
          }
        }
        encoders.set(name, encoder);
      });
    }
  });
  after(() => removeFolder(folder));

  /** Imports an encoder, `prefix` before its names, with a head; elements of tensor i of the head are i. */
  async function imported(encoder: 'plain' | 'slimclr', prefix: string, head: Shapes, beside: Shapes = {}) {
    const file = join(folder, `${count}.safetensors`);
    const output = join(folder, `run-${count++}`);
    const own = Object.entries(head).map(([name, shape]) => [prefix + name, shape] as const);
    const root = Object.entries(beside).map(
      ([name, shape]) => [prefix.replace(/[^.]+\.$/, '') + name, shape] as const,
    );
    const filled = [...own, ...root].map(([name, shape], i): [string, TensorData] => {
      const size = shape.reduce((product, length) => product * length, 1);
      return [name, { dtype: 'float32', shape, data: new Float32Array(size).fill(i + 1) }];
    });
    const encoderTensors = [...encoders.get(encoder)!].map(([name, tensor]): [string, TensorData] => [
      prefix + name,
      tensor,
    ]);
    await writeSafetensors(file, new Map([...encoderTensors, ...filled]));
    const { config, lines } = await importRun(file, { output });
    const { tensors } = await readCheckpoint((await latestCheckpoint(output)).path);
    /** Which tensor of the file one of ours is. */
    const sourceOf = (name: string) => filled[(tensors.get(name)!.data as Float32Array)[0]! - 1]![0];
    const heads = [...tensors.keys()].filter((name) => !name.startsWith('encoder.'));
    return { config, lines, sourceOf, heads };
  }

  it('MoCo v3: projector and predictor, which lies beside the encoder', async () => {
    const { config, lines, sourceOf, heads } = await imported(
      'plain',
      'module.base_encoder.',
      mocoV3(96),
      predictor(96),
    );
    expect(config.method).to.deep.include({ kind: 'moco-v3', hiddenDimension: 96, dimension: 32 });
    expect(lines).to.include('with the head of moco-v3');
    expect(heads).to.have.length(2 + 4 + 2 + 2 + 4);
    expect(sourceOf('projector.fc2.weight')).to.equal('module.base_encoder.fc.3.weight');
    expect(sourceOf('projector.bn2.w1.00.running_var')).to.equal('module.base_encoder.fc.4.running_var');
    expect(sourceOf('predictor.bn1.w1.00.gamma')).to.equal('module.predictor.1.weight');
    expect(sourceOf('predictor.fc2.weight')).to.equal('module.predictor.3.weight');
  });

  it('the official SlimCLR-MoCo v3: a batch norm for each width', async () => {
    const { config, sourceOf } = await imported(
      'slimclr',
      'base_encoder.',
      mocoV3(96, 48),
      predictor(96, 48),
    );
    expect(config.widths).to.deep.equal([1, 0.5]);
    expect(sourceOf('projector.bn1.w0.50.beta')).to.equal('base_encoder.fc.1.bn.1.bias');
    expect(sourceOf('projector.bn2.w0.50.running_mean')).to.equal('base_encoder.fc.4.bn.1.running_mean');
    expect(sourceOf('predictor.bn1.w1.00.running_var')).to.equal('predictor.1.bn.0.running_var');
  });

  it('MoCo v3 without its predictor: no head, and why', async () => {
    const { config, lines, heads } = await imported('plain', 'base_encoder.', mocoV3(96));
    expect(config.method.kind).to.equal('moco-v2');
    expect(heads).to.deep.equal([]);
    expect(lines).to.include('without a head');
    expect(lines.at(-1)).to.match(
      /^left out: the head fc\.0, .* \(predictor\.0\.weight is missing\), base_encoder\.fc\.\* /,
    );
  });

  it('SimCLR: a bias in the first layer, the last batch norm with gamma and beta', async () => {
    const head = { ...mocoV3(96, 48), 'fc.0.bias': [96], ...bn('fc.4', [32, 32]) };
    const { config, sourceOf } = await imported('slimclr', 'module.encoder.', head);
    expect(config.method).to.deep.include({ kind: 'simclr', hiddenDimension: 96, dimension: 32 });
    expect(sourceOf('head.fc1.bias')).to.equal('module.encoder.fc.0.bias');
    expect(sourceOf('head.bn2.w0.50.gamma')).to.equal('module.encoder.fc.4.bn.1.weight');
  });

  it('the official SlimCLR with a head for each width', async () => {
    const head = Object.fromEntries(
      [64, 32].flatMap((inputs, i) => [
        [`fc.0.linears.${i}.weight`, [inputs, inputs]],
        [`fc.0.linears.${i}.bias`, [inputs]],
        [`fc.2.linears.${i}.weight`, [16, inputs]],
        [`fc.2.linears.${i}.bias`, [16]],
      ]),
    ) as Shapes;
    const { config, lines, sourceOf } = await imported('slimclr', 'module.encoder_q.', head);
    expect(config.techniques.head).to.equal('switchable');
    expect(lines).to.deep.equal([lines[0], 'with the head of moco-v2']);
    expect(sourceOf('head.w0.50.fc1.weight')).to.equal('module.encoder_q.fc.0.linears.1.weight');
    expect(sourceOf('head.w1.00.fc2.bias')).to.equal('module.encoder_q.fc.2.linears.0.bias');
  });

  it('MoCo v1, whose embedding looks like a classifier: left out', async () => {
    const { config, lines, heads } = await imported('plain', 'module.encoder_q.', {
      'fc.weight': [128, 64],
      'fc.bias': [128],
    });
    expect(config.method.kind).to.equal('moco-v2');
    expect(heads).to.deep.equal([]);
    expect(lines.slice(1)).to.deep.equal(['without a head', 'left out: module.encoder_q.fc.* (2 tensors)']);
  });

  it('a classifier called linear, behind blocks whose shortcuts are called so', async () => {
    const { config, sourceOf } = await imported('slimclr', '', {
      'linear.weight': [5, 64],
      'linear.bias': [5],
    });
    expect(config.method).to.deep.include({ kind: 'supervised', classes: 5 });
    expect(sourceOf('head.fc.weight')).to.equal('linear.weight');
  });
});
