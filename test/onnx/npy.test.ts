import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { decodeNpy, encodeNpy, readNpy } from '../../src/onnx/npy.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { elementCount, elementFormats, elementTypes } from '../../src/onnx/tensorType.js';

const run = promisify(execFile);

/** As `numpy.save` of numpy 2 writes `numpy.array([[1, 2, 3], [4, 5, 6.5]], '<f4')`. */
const saved = Buffer.concat([
  Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, 0x76, 0]),
  Buffer.from("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".padEnd(117) + '\n'),
  Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6.5).buffer),
]);

describe('onnx/npy', () => {
  const tensor: TensorData = {
    dtype: 'float32',
    shape: [2, 3],
    data: Float32Array.of(1, 2, 3, 4, 5, 6.5),
  };

  it('writes the bytes of numpy.save, and reads them', () => {
    expect(Buffer.from(encodeNpy(tensor)).equals(saved)).to.equal(true);
    expect(decodeNpy(saved)).to.deep.equal(tensor);
  });

  for (const dtype of elementTypes) {
    for (const shape of [[], [0], [5], [2, 3], [2, 1, 0, 4]]) {
      it(`${dtype} of shape [${shape.join()}] comes back, aligned to 64 bytes`, () => {
        const { array, bytes } = elementFormats[dtype];
        const raw = Uint8Array.from({ length: elementCount(shape) * bytes }, (_, i) => (7 * i) % 2);
        const data = new array(raw.buffer);
        const encoded = encodeNpy({ dtype, shape, data });
        expect((encoded.length - raw.length) % 64).to.equal(0);
        expect(decodeNpy(encoded)).to.deep.equal({ dtype, shape, data });
      });
    }
  }

  const header = (text: string, elements = new Uint8Array(24), version = 1) => {
    const length = Buffer.alloc(version === 1 ? 2 : 4);
    length.writeUInt16LE(text.length);
    return Buffer.concat([
      Buffer.from([0x93, ...Buffer.from('NUMPY'), version, 0]),
      length,
      Buffer.from(text),
      elements,
    ]);
  };

  it('versions 2 and 3, other spacing and order of the keys', () => {
    for (const version of [2, 3]) {
      const text = "{'shape':(2,3),'fortran_order':False,'descr':'<f4'}   \n";
      expect(decodeNpy(header(text, undefined, version)).shape).to.deep.equal([2, 3]);
    }
  });

  const refusals: [string, Buffer, string][] = [
    ['another file', Buffer.from('PK and many more bytes'), 'not a .npy file'],
    [
      'version 4',
      header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", undefined, 4),
      'version 4',
    ],
    ['a torn header', saved.subarray(0, 40), 'truncated or foreign'],
    ['too few elements', saved.subarray(0, saved.length - 1), '23 bytes of elements; float32[2,3] takes 24'],
    ['bytes after the elements', Buffer.concat([saved, Buffer.of(0)]), '25 bytes of elements'],
    ['Python objects', header("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }"), "type '|O'"],
    [
      'big-endian numbers',
      header("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }"),
      "type '>f4'",
    ],
    [
      'records',
      header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }"),
      'accepted: descr of plain numbers',
    ],
    [
      "Fortran's order",
      header("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }"),
      "in Fortran's order",
    ],
    ['no shape', header("{'descr': '<f4', 'fortran_order': False, }"), 'its header is'],
    [
      'code in place of a shape',
      header("{'descr': '<f4', 'fortran_order': False, 'shape': exit(), }"),
      'its header is',
    ],
  ];
  for (const [what, bytes, message] of refusals) {
    it(`${what}: refused in one line that names the file`, () => {
      expect(() => decodeNpy(bytes, 'a.npy'))
        .to.throw(/^a\.npy: [^\n]*$/)
        .with.property('message')
        .that.includes(message);
    });
  }

  it('data that is not of the type or shape is not written', () => {
    expect(() => encodeNpy({ ...tensor, shape: [2, 2] })).to.throw('of 6 elements');
    expect(() => encodeNpy({ ...tensor, dtype: 'float64' })).to.throw('float64[2,3]');
  });

  it('numpy reads it, and what numpy writes is read', async function () {
    const python = process.env['SLIMCLR_PYTHON'] ?? 'python3';
    await run(python, ['-c', 'import numpy']).catch(() => this.skip());
    const folder = await mkdtemp(join(tmpdir(), 'slimclr-npy-'));
    try {
      const [ours, theirs] = [join(folder, 'ours.npy'), join(folder, 'theirs.npy')];
      const scalar = join(folder, 'scalar.npy');
      await writeFile(ours, encodeNpy(tensor));
      await writeFile(scalar, encodeNpy({ dtype: 'int64', shape: [], data: BigInt64Array.of(-3n) }));
      const script =
        'import sys, numpy as np; a = np.load(sys.argv[1]); s = np.load(sys.argv[2]); ' +
        'assert a.dtype == np.float32 and s.shape == () and s == -3; np.save(sys.argv[3], a.T.copy() + 1)';
      await run(python, ['-c', script, ours, scalar, theirs]);
      const { dtype, shape, data } = await readNpy(theirs);
      expect({ dtype, shape, data: [...data] }).to.deep.equal({
        dtype: 'float32',
        shape: [3, 2],
        data: [2, 5, 3, 6, 4, 7.5],
      });
      expect((await readFile(theirs)).equals(Buffer.from(encodeNpy({ dtype, shape, data })))).to.equal(true);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
