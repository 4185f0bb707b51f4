import { HostGraph } from '../../src/engines/hostGraph.js';
import { numbers, tensorOf } from '../support/tensors.js';
import { expect } from 'chai';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SlimclrError } from '../../src/errors.js';
import { byteLength, elementTypes, encodeModel, valuesOf } from '../../src/onnx/model.js';
import {
  encodeSafetensors,
  layoutSafetensors,
  readSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
  type TensorData,
} from '../../src/onnx/safetensors.js';
import { Random } from '../../src/random.js';
import { affineModel } from './models.js';
import { removeFolder } from '../support/removeFolder.js';

/** Tensors of every element type with random bytes, named so that a JavaScript object would reorder them. */
function randomTensors(random: Random): Map<string, TensorData> {
  const tensors = elementTypes.map((dtype, i): [string, TensorData] => {
    const shape = Array.from({ length: random.integer(4) }, () => random.integer(5));
    const bytes = Uint8Array.from({ length: byteLength({ dtype, shape }) }, () => random.integer(256));
    return [`${elementTypes.length - i}`, { dtype, shape, data: valuesOf(dtype, bytes) }];
  });
  return new Map(tensors);
}

/** A file with this header, which is padded or not, and this many bytes of data. */
function file(header: unknown, dataBytes: number): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(dataBytes)]);
}

describe('onnx/safetensors', () => {
  let folder: string;
  let path: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slimclr-safetensors-'));
    path = join(folder, 'weights.safetensors');
  });
  after(() => removeFolder(folder));

  it('tensors of every element type with random content: written and read back in order', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const tensors = randomTensors(new Random(seed));
      const metadata = { seed: String(seed), Größe: '"' };
      await writeSafetensors(path, tensors, metadata);
      expect(await readSafetensors(path), `seed ${seed}`).to.deep.equal({ metadata, tensors });
      const nonEmpty = (names: Iterable<[string, { readonly data: { length: number } }]>) =>
        [...names].filter(([, { data }]) => data.length > 0).map(([name]) => name);
      expect(nonEmpty((await readSafetensors(path)).tensors)).to.deep.equal(nonEmpty(tensors));
    }
  });

  it('layout, written file and read header agree; data starts at a multiple of 64', async () => {
    const entries = [
      { name: 'a', type: { dtype: 'float32', shape: [2, 3] } },
      { name: 'b', type: { dtype: 'int8', shape: [5] } },
    ] as const;
    const { header, ...layout } = layoutSafetensors(entries);
    expect(header.length % 64).to.equal(0);
    expect(
      [...layout.tensors.values()].map(({ offset, length }) => [offset - header.length, length]),
    ).to.deep.equal([
      [0, 24],
      [24, 5],
    ]);
    const tensors = new Map<string, TensorData>([
      ['a', { dtype: 'float32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
      ['b', { dtype: 'int8', shape: [5], data: Int8Array.of(1, 2, 3, 4, 5) }],
    ]);
    await writeSafetensors(path, tensors);
    expect(await readSafetensorsHeader(path)).to.deep.equal(layout);
    const bytes = await readFile(path);
    expect(bytes.length).to.equal(layout.size);
    expect(bytes.readFloatLE(layout.tensors.get('a')!.offset + 4)).to.equal(2);
  });

  it('the header is the JSON that the format prescribes', () => {
    const { header } = layoutSafetensors([{ name: 'w', type: { dtype: 'float32', shape: [2] } }], {
      step: '7',
    });
    expect(Number(Buffer.from(header).readBigUInt64LE())).to.equal(header.length - 8);
    expect(Buffer.from(header.subarray(8)).toString().trimEnd()).to.equal(
      '{"__metadata__":{"step":"7"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    );
  });

  it('encoding does not copy the tensors', () => {
    const data = new Float32Array(10);
    const [, chunk] = encodeSafetensors(new Map([['w', { dtype: 'float32', shape: [10], data } as const]]));
    expect(chunk!.buffer).to.equal(data.buffer);
  });

  it('a model whose weights lie in the file, one of them a graph input, runs in ONNX Runtime', async () => {
    const tensors = new Map<string, TensorData>([
      ['unused', { dtype: 'int8', shape: [64], data: new Int8Array(64) }],
      ['w', { dtype: 'float32', shape: [3], data: Float32Array.of(5, 6, 7) }],
      ['one', { dtype: 'float32', shape: [], data: Float32Array.of(10) }],
    ]);
    await writeSafetensors(path, tensors);
    const header = await readSafetensorsHeader(path);
    const initializers = affineModel.initializers.map(({ name, type }) => {
      const { offset, length } = header.tensors.get(name)!;
      return {
        name,
        type,
        data: { kind: 'external', location: 'weights.safetensors', offset, length },
      } as const;
    });
    await writeFile(join(folder, 'model.onnx'), encodeModel({ ...affineModel, initializers }));
    const graph = await HostGraph.open(join(folder, 'model.onnx'), { provider: 'cpu', threads: 1 });
    const { y } = await graph.run({ x: tensorOf('float32', [1, 2, 3]) });
    await graph.close();
    expect(numbers(y!)).to.deep.equal([15, 22, 31]);
  });

  describe('rejects a file with one line that names it and the fault', () => {
    const entry = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype = 'F32') => ({
      dtype,
      shape,
      data_offsets: [begin, end],
    });
    const malformed: [string, Uint8Array, RegExp][] = [
      ['no bytes', new Uint8Array(0), /it has 0 bytes/],
      ['another format', Buffer.from('PK\x03\x04 some archive'), /truncated or foreign/],
      [
        'a header that is cut off',
        file({ w: entry(0, 8) }, 0).subarray(0, 30),
        /header should have \d+ bytes/,
      ],
      ['a header that is no JSON', file('{"w":', 8), /header is not JSON/],
      ['a header that is a list', file([1], 0), /header is not a JSON object/],
      [
        'metadata that are no strings',
        file({ __metadata__: { step: 7 } }, 0),
        /__metadata__ .* map of strings/,
      ],
      ['truncated data', file({ w: entry(0, 8) }, 7), /truncated: its tensors end at byte \d+/],
      ['trailing bytes', file({ w: entry(0, 8) }, 9), /trailing bytes/],
      ['overlapping tensors', file({ v: entry(0, 8), w: entry(4, 12) }, 12), /tensor w overlaps .* byte 4/],
      ['a hole', file({ v: entry(0, 8), w: entry(12, 16) }, 16), /tensor w leaves a hole .* byte 12/],
      [
        "a length that is not the shape's",
        file({ w: entry(0, 8, [3]) }, 8),
        /w has 8 bytes, but float32\[3\] takes 12/,
      ],
      ['an end before the start', file({ w: entry(8, 0, [2]) }, 8), /w has -8 bytes/],
      ['an unknown dtype', file({ w: entry(0, 8, [4], 'BF16') }, 8), /w has dtype BF16; accepted: F32, /],
      ['a negative dimension', file({ w: entry(0, 8, [-2]) }, 8), /tensor w has no valid dtype, shape/],
      ['an entry without offsets', file({ w: { dtype: 'F32', shape: [2] } }, 8), /tensor w has no valid/],
    ];
    for (const [title, bytes, message] of malformed) {
      it(title, async () => {
        await writeFile(path, bytes);
        const error: unknown = await readSafetensors(path).catch((e: unknown) => e);
        expect(error).to.be.instanceOf(SlimclrError);
        expect((error as SlimclrError).message)
          .to.match(message)
          .and.match(/^cannot read [^\n]*$/)
          .and.include(path);
      });
    }

    it('no such file', async () => {
      const error: unknown = await readSafetensorsHeader(join(folder, 'absent')).catch((e: unknown) => e);
      expect(error)
        .to.be.instanceOf(SlimclrError)
        .with.property('message')
        .that.matches(/absent.*ENOENT/);
    });
  });

  it('encoding rejects data of another size, names that occur twice and the reserved name', () => {
    const data = Float32Array.of(1, 2);
    const tensors = new Map([['w', { dtype: 'float32', shape: [3], data } as const]]);
    expect(() => [...encodeSafetensors(tensors)]).to.throw(
      SlimclrError,
      /tensor w is float32\[3\], .* of 2 elements/,
    );
    const type = { dtype: 'float32', shape: [] } as const;
    const twice = [
      { name: 'w', type },
      { name: 'w', type },
    ];
    expect(() => layoutSafetensors(twice)).to.throw(SlimclrError, /w occurs twice/);
    expect(() => layoutSafetensors([{ name: '__metadata__', type }])).to.throw(SlimclrError, /reserved/);
  });
});
