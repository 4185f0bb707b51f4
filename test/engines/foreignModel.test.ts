import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import onnxProto from 'onnx-proto';
import { ForeignModel } from '../../src/engines/foreignModel.js';
import { encodeModel, type OnnxModel } from '../../src/onnx/model.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

const { DataType } = onnxProto.onnx.TensorProto;

describe('engines/foreignModel', () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'slimclr-foreign-'))));
  after(() => removeFolder(folder));

  const model: OnnxModel = {
    graphName: 'nonzero',
    opsets: { '': 17 },
    irVersion: 8,
    producer: '',
    producerVersion: '',
    metadata: {},
    inputs: [
      { name: 'x', type: { dtype: 'float32', shape: ['n', 2] } },
      { name: 'b', type: { dtype: 'uint8', shape: [3] } },
    ],
    outputs: [
      { name: 'where', type: { dtype: 'int64', shape: [2, 'found'] } },
      { name: 'half', type: { dtype: 'float16', shape: ['n', 2] } },
      { name: 'bytes', type: { dtype: 'uint8', shape: [3] } },
    ],
    values: [],
    initializers: [],
    nodes: [
      { name: '', opType: 'NonZero', domain: '', inputs: ['x'], outputs: ['where'], attributes: {} },
      {
        name: '',
        opType: 'Cast',
        domain: '',
        inputs: ['x'],
        outputs: ['half'],
        attributes: { to: DataType.FLOAT16 },
      },
      { name: '', opType: 'Identity', domain: '', inputs: ['b'], outputs: ['bytes'], attributes: {} },
    ],
  };

  it('outputs whose shape only a run tells, of several types, an empty one among them', async () => {
    const path = join(folder, 'nonzero.onnx');
    await writeFile(path, encodeModel(model));
    const session = await ForeignModel.open(path, 1);
    try {
      expect([session.inputs, session.outputs]).to.deep.equal([
        ['x', 'b'],
        ['where', 'half', 'bytes'],
      ]);
      const feeds = (...x: number[]) =>
        new Map([
          ['x', { dtype: 'float32', shape: [x.length / 2, 2], data: Float32Array.from(x) }],
          ['b', { dtype: 'uint8', shape: [3], data: Uint8Array.of(7, 8, 9) }],
        ] as const);
      const outputs = session.run(feeds(0, 1.5, 2, 0));
      expect([...outputs]).to.deep.equal([
        ['where', { dtype: 'int64', shape: [2, 2], data: BigInt64Array.of(0n, 1n, 1n, 0n) }],
        ['half', { dtype: 'float16', shape: [2, 2], data: Uint16Array.of(0, 0x3e00, 0x4000, 0) }],
        ['bytes', { dtype: 'uint8', shape: [3], data: Uint8Array.of(7, 8, 9) }],
      ]);
      expect(session.run(feeds(0, 0)).get('where')).to.deep.equal({
        dtype: 'int64',
        shape: [2, 0],
        data: new BigInt64Array(),
      });
      expect(session.time(feeds(1, 2), 3)).to.have.length(3);
      expect(() => session.run(new Map([...feeds(1, 2)].slice(0, 1)))).to.throw(
        /^[^\n]*nonzero\.onnx: [^\n]*$/,
      );
    } finally {
      session.close();
    }
    expect(() => session.run(new Map())).to.throw('closed');
  });

  it('a file that ONNX Runtime does not take: one line that names it', async () => {
    const path = join(folder, 'unknown.onnx');
    const nodes = [{ ...model.nodes[0]!, opType: 'NoSuchOperator' }, ...model.nodes.slice(1)];
    await writeFile(path, encodeModel({ ...model, nodes }));
    expect((await rejection(ForeignModel.open(path, 1))).message).to.match(
      /^[^\n]*unknown\.onnx: ONNX Runtime 1\.[^\n]* does not take the model \([^\n]*NoSuchOperator[^\n]*$/,
    );
  });
});
