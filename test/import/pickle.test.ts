import { expect } from 'chai';
import { SlimclrError } from '../../src/errors.js';
import { Tuple, unpickle, type PickleNames } from '../../src/import/pickle.js';
import { readTorchPickle, TorchTensor } from '../../src/import/torchPickle.js';
import { Random } from '../../src/random.js';
import { readZip } from '../support/zip.js';
import { fixtureBytes } from './comparison.js';

const nothing: PickleNames = {
  global: (module, name) => {
    throw new SlimclrError(`${module}.${name}`);
  },
  call: () => {
    throw new SlimclrError('a call');
  },
  persistent: (id) => ['outside', id],
};

/** A pickle of protocol 4 of these parts: opcodes as numbers or texts. */
function pickle(...parts: readonly (number | string)[]): Buffer {
  const bytes = parts.map((part) =>
    typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part, 'latin1'),
  );
  return Buffer.concat([Buffer.from([0x80, 4]), ...bytes, Buffer.from('.')]);
}

const read = (...parts: readonly (number | string)[]) => unpickle(pickle(...parts), nothing);

describe('pickle', () => {
  it('constants: numbers of every length, texts and bytes', () => {
    expect(read('N')).to.equal(null);
    expect(read(0x88)).to.equal(true);
    expect(read('K', 200)).to.equal(200);
    expect(read('M', 0, 1)).to.equal(256);
    expect(read('J', 255, 255, 255, 255)).to.equal(-1);
    expect(read(0x8a, 0)).to.equal(0);
    expect(read(0x8a, 2, 0, 255)).to.equal(-256);
    expect(read(0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1)).to.equal(2n ** 64n);
    expect(read('G', 0xc0, 4, 0, 0, 0, 0, 0, 0)).to.equal(-2.5);
    expect(read(0x8c, 2, '\xc3\xa9')).to.equal('\u00e9');
    expect(read('C', 2, 1, 2)).to.deep.equal(Buffer.from([1, 2]));
  });

  it('containers, what is met again, and what lies outside', () => {
    const list = read(']', 0x94, 'h', 0, 'a', '(', 'K', 1, 'K', 2, 'e') as unknown[];
    expect(list[0]).to.equal(list);
    expect(list.slice(1)).to.deep.equal([1, 2]);
    expect(read('}', 'K', 1, 'N', 's', '(', 'K', 2, 0x89, 'u')).to.deep.equal(
      new Map<unknown, unknown>([
        [1, null],
        [2, false],
      ]),
    );
    expect(read('K', 1, 'K', 2, 0x86)).to.deep.equal(new Tuple([1, 2]));
    expect(read(0x8c, 1, 'x', 'Q')).to.deep.equal(['outside', 'x']);
  });

  for (const [title, parts, message] of [
    ['a name', ['cos\nsystem\n'], /^os\.system$/],
    ['a name from the stack', [0x8c, 2, 'os', 0x8c, 6, 'system', 0x93], /^os\.system$/],
    ['a call', ['N', ')', 'R'], /^a call$/],
    [
      'an object of a class',
      ['N', ')', 0x81],
      /^the pickle makes an object of a class \(at byte 5\); accepted: tensors, /,
    ],
    ['attributes of an object', [']', '}', 'b'], /^the pickle sets attributes of an object /],
    ['an opcode that state dictionaries do not have', ['i', 'os\nsystem\n'], /^the pickle has opcode 0x69 /],
    ['an extension', [0x82, 1], /^the pickle has opcode 0x82 /],
    ['an empty stack', ['0'], /^damaged pickle \(at byte 3 of 4\)$/],
    ['a mark that is missing', ['K', 1, 't'], /^damaged pickle /],
    ['a mark in the place of a value', ['(', 'a'], /^damaged pickle /],
    ['a memory that is empty', ['h', 3], /^damaged pickle /],
    ['a text beyond the end', ['X', 255, 255, 255, 255], /^damaged pickle /],
    ['items of what is no dictionary', [']', 'N', 'N', 's'], /^damaged pickle /],
  ] as const) {
    it(`${title}: refused`, () => {
      expect(() => read(...parts)).to.throw(SlimclrError, message);
    });
  }

  it('another protocol: refused', () => {
    expect(() => unpickle(Buffer.from([0x80, 1, 0x2e]), nothing)).to.throw(
      SlimclrError,
      'protocol 1; accepted: 2 to 5',
    );
    expect(() => unpickle(Buffer.from('(lp0\n.'), nothing)).to.throw(SlimclrError, 'opcode 0x6c');
  });

  it("PyTorch's state_dict: its tensors are views of storages", async () => {
    const members = await readZip(await fixtureBytes('plain.pth'));
    const state = readTorchPickle(members.find(({ name }) => name.endsWith('data.pkl'))!.bytes) as Map<
      string,
      TorchTensor
    >;
    const weight = state.get('layer3.0.conv2.weight')!;
    expect(weight).to.be.instanceOf(TorchTensor);
    expect(weight).to.deep.include({ shape: [64, 64, 3, 3], strides: [1, 3, 5, 2] });
  });

  it('a tensor that reaches beyond its storage: refused', () => {
    const storage = [
      ...['(', 0x8c, 7, 'storage', 'ctorch\nFloatStorage\n', 0x8c, 1, '0', 0x8c, 3, 'cpu', 'K', 6, 't', 'Q'],
    ];
    const tensor = (offset: number, stride: number) =>
      pickle(
        'ctorch._utils\n_rebuild_tensor_v2\n',
        '(',
        ...storage,
        'K',
        offset,
        'K',
        3,
        0x85,
        'K',
        stride,
        0x85,
        0x89,
        'N',
        't',
        'R',
      );
    expect(readTorchPickle(tensor(1, 2))).to.deep.include({ offset: 1, shape: [3], strides: [2] });
    expect(() => readTorchPickle(tensor(2, 2))).to.throw(
      SlimclrError,
      'a tensor of shape [3] reaches beyond the 6 elements of its storage',
    );
  });

  it('a damaged pickle gives a value or one of our errors, whatever bytes are changed or cut', async () => {
    const members = await readZip(await fixtureBytes('slimclr.pth'));
    const whole = Buffer.from(members.find(({ name }) => name.endsWith('data.pkl'))!.bytes);
    const random = new Random(7);
    let refused = 0;
    for (let i = 0; i < 400; i++) {
      const damaged = Buffer.from(
        whole.subarray(0, i % 4 === 0 ? random.integer(whole.length) : whole.length),
      );
      for (let j = 0; j < 1 + random.integer(4) && damaged.length > 0; j++) {
        damaged[random.integer(damaged.length)] = random.integer(256);
      }
      try {
        readTorchPickle(damaged);
      } catch (error) {
        expect(error).to.be.instanceOf(SlimclrError);
        refused++;
      }
    }
    expect(refused).to.be.greaterThan(100);
  });
});
