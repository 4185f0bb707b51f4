import { expect } from 'chai';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SlimclrError } from '../../src/errors.js';
import { importRun, type ImportOptions } from '../../src/import/importRun.js';
import { readModel } from '../../src/import/readModel.js';
import { Random } from '../../src/random.js';
import { writeSafetensors, type TensorData } from '../../src/onnx/safetensors.js';
import { rejection } from '../support/rejection.js';
import { readZip, writeZip, type Member } from '../support/zip.js';
import { fixture, fixtureBytes } from './comparison.js';
import { removeFolder } from '../support/removeFolder.js';

describe('import refuses, in one line, and executes nothing', () => {
  let folder: string;
  let members: readonly Member[];
  /** ResNet-20 with torchvision's names. */
  let plain: ReadonlyMap<string, TensorData>;
  let count = 0;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slimclr-refusals-'));
    members = await readZip(await fixtureBytes('plain.pth'));
    const { tensors } = await readModel(fixture('plain.pth'));
    plain = new Map(
      [...tensors].map(([name, tensor]) => {
        const theirs = name
          .replace(/^encoder\.|^head\./, '')
          .replace('downsample.conv', 'downsample.0')
          .replace('downsample.bn', 'downsample.1')
          .replace('.w1.00', '')
          .replace(/gamma$/, 'weight')
          .replace(/beta$/, 'bias');
        return [theirs, tensor];
      }),
    );
  });
  after(() => removeFolder(folder));

  /** The message that a file is refused with, without its path. */
  async function refusal(file: string, options: Partial<ImportOptions> = {}): Promise<string> {
    const output = join(folder, `run-${count++}`);
    const error = await rejection(importRun(file, { ...options, output }));
    expect(error, error.stack).to.be.instanceOf(SlimclrError);
    expect(error.message).to.not.match(/\n/);
    expect(existsSync(output), 'a run folder is left').to.equal(false);
    expect(error.message.startsWith(`${file}: `) || error.message.includes(file), error.message).to.equal(
      true,
    );
    return error.message.replace(`${file}: `, '');
  }

  async function written(bytes: Uint8Array): Promise<string> {
    const file = join(folder, `file-${count++}`);
    await writeFile(file, bytes);
    return file;
  }

  /** Refusal of the plain checkpoint with other members. */
  const repacked = async (change: (member: Member) => Member | Member[]) =>
    refusal(await written(writeZip(members.flatMap(change))));

  /** Refusal of ResNet-20 with other tensors, in safetensors. */
  async function changed(change: (tensors: Map<string, TensorData>) => void): Promise<string> {
    const tensors = new Map(plain);
    change(tensors);
    const file = join(folder, `file-${count++}.safetensors`);
    await writeSafetensors(file, tensors);
    return refusal(file);
  }

  const filled = (shape: readonly number[], value = 0.1): TensorData => {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value);
    return { dtype: 'float32', shape, data };
  };

  it('a pickle that calls os.system, and one of a class of its own', async () => {
    const accepted =
      'and nothing in it is executed; accepted: tensors, numbers, texts, lists and dictionaries';
    expect(await refusal(fixture('evil.pth'))).to.match(
      new RegExp(`^the pickle names (posix|nt)\\.system, ${accepted}`),
    );
    expect(await refusal(fixture('foreign.pth'))).to.include(
      `the pickle names __main__.Foreign, ${accepted}`,
    );
    for (const place of ['.', folder]) {
      expect(await readdir(place)).to.not.include('executed-by-a-pickle');
    }
  });

  it('the format before PyTorch 1.6, a bare pickle, and what is neither zip nor safetensors', async () => {
    expect(await refusal(fixture('legacy.pth'))).to.match(/^the format of torch\.save before PyTorch 1\.6, /);
    const pickle = members.find(({ name }) => name.endsWith('data.pkl'))!.bytes;
    expect(await refusal(await written(pickle))).to.match(
      /^a pickle, which is not executed; accepted: safetensors, /,
    );
    expect(await refusal(await written(Buffer.alloc(100, 7)))).to.match(
      /as safetensors: .*; accepted: safetensors, or the zip/,
    );
    expect(await refusal(await written(Buffer.alloc(0)))).to.match(
      /accepted: safetensors, or the zip of torch\.save/,
    );
    expect(await refusal(join(folder, 'none.pth'))).to.match(/^no such file; accepted: /);
  });

  it('a torn zip, cut anywhere', async () => {
    const whole = await fixtureBytes('plain.pth');
    for (const length of [40, whole.length / 2, whole.length - 100, whole.length - 1]) {
      expect(await refusal(await written(whole.subarray(0, length)))).to.match(
        /^not a zip of torch\.save, or a part of one \(/,
      );
    }
  });

  it('a zip whose members are damaged, compressed, missing, twice there, or lead elsewhere', async () => {
    const whole = await fixtureBytes('plain.pth');
    const storage = members.find(({ name }) => name === 'plain/data/0')!;
    const flipped = Buffer.from(whole);
    flipped[whole.indexOf(storage.bytes)]! ^= 1;
    expect(await refusal(await written(flipped))).to.include('(member plain/data/0 is damaged)');

    const compressed = writeZip(members);
    const entry = compressed.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    compressed.writeUInt16LE(8, entry + 10);
    expect(await refusal(await written(compressed))).to.match(/\(member .* is compressed or encrypted\)/);

    const isStorage = ({ name }: Member) => name === 'plain/data/0';
    expect(await repacked((member) => (isStorage(member) ? [] : member))).to.include(
      '(member plain/data/0 is missing)',
    );
    expect(await repacked((member) => (isStorage(member) ? [member, member] : member))).to.include(
      '(member plain/data/0 occurs twice)',
    );
    for (const name of ['../../data/0', '/data/0', 'plain\\data\\0']) {
      const message = await repacked((member) => (isStorage(member) ? { ...member, name } : member));
      expect(message, name).to.match(/\((invalid|absolute)[^)]*\)/);
    }
    expect(await repacked(({ name, bytes }) => ({ name: name.replace('data.pkl', 'x'), bytes }))).to.include(
      '(it holds no data.pkl)',
    );
  });

  it('a zip whose directory or headers are damaged: refused, or read as it was', async () => {
    const whole = await fixtureBytes('plain.pth');
    const random = new Random(5);
    // Local headers, entries of the directory and its ends.
    const signatures = [
      [1, 2],
      [3, 4],
      [5, 6],
      [6, 6],
      [6, 7],
    ].map((end) => Buffer.from([0x50, 0x4b, ...end]));
    const structure = [...whole.keys()].filter((at) =>
      signatures.some((signature) => signature.equals(whole.subarray(at, at + 4))),
    );
    let refused = 0;
    for (let i = 0; i < 30; i++) {
      const damaged = Buffer.from(whole);
      const header = structure[random.integer(structure.length)]!;
      damaged[Math.min(header + 4 + random.integer(40), whole.length - 1)] = random.integer(256);
      const file = await written(damaged);
      try {
        await readModel(file);
      } catch (error) {
        expect(error, (error as Error).stack).to.be.instanceOf(SlimclrError);
        refused++;
      }
    }
    expect(refused).to.be.greaterThan(4);
  });

  it('big-endian numbers, and a storage of another size than its tensors say', async () => {
    expect(
      await repacked((member) =>
        member.name.endsWith('byteorder') ? { ...member, bytes: Buffer.from('big') } : member,
      ),
    ).to.include('its numbers are big-endian; accepted: little-endian');
    expect(
      await repacked((member) =>
        member.name === 'plain/data/0' ? { ...member, bytes: member.bytes.subarray(4) } : member,
      ),
    ).to.match(/^member plain\/data\/0 has \d+ bytes, and its storage \d+$/);
  });

  it('tensors that are missing, too many or of another shape: which', async () => {
    expect(
      await changed((tensors) => {
        tensors.delete('layer3.2.bn2.running_var');
        tensors.delete('layer2.0.downsample.1.bias');
      }),
    ).to.equal(
      'not a resnet20 as this package has it: it lacks layer2.0.downsample.1.bias, layer3.2.bn2.running_var',
    );
    expect(
      await changed((tensors) => {
        for (let i = 0; i < 7; i++) tensors.set(`layer1.0.se.fc${i}.weight`, filled([4]));
      }),
    ).to.equal(
      'not a resnet20 as this package has it: it has layer1.0.se.fc0.weight, layer1.0.se.fc1.weight, ' +
        'layer1.0.se.fc2.weight, layer1.0.se.fc3.weight, layer1.0.se.fc4.weight and 2 more, too',
    );
    // Groups, as ResNeXt has them.
    expect(await changed((tensors) => tensors.set('layer2.1.conv2.weight', filled([32, 4, 3, 3])))).to.equal(
      'not a resnet20 as this package has it: layer2.1.conv2.weight is [32,4,3,3], not [32,32,3,3]',
    );
  });

  it('numbers that are not finite, and integers', async () => {
    const conv = 'layer1.0.conv1.weight';
    for (const value of [NaN, Infinity]) {
      const message = await changed((tensors) => {
        const tensor = filled(plain.get(conv)!.shape);
        (tensor.data as Float32Array)[7] = value;
        tensors.set(conv, tensor);
      });
      expect(message).to.equal(`${conv} holds ${value} (element 7); accepted: finite numbers`);
    }
    const { shape } = plain.get('bn1.bias')!;
    expect(
      await changed((tensors) =>
        tensors.set('bn1.bias', { dtype: 'int64', shape, data: new BigInt64Array(16) }),
      ),
    ).to.equal('bn1.bias is int64; accepted: float32, float64, float16, bfloat16');
  });

  it('an architecture that is not in the registry, and no ResNet', async () => {
    expect(
      await changed((tensors) => {
        for (const name of [...tensors.keys()]) if (name.startsWith('layer3.2.')) tensors.delete(name);
      }),
    ).to.match(
      /^a ResNet of basic blocks \[3, 3, 2\] behind a 3x3 convolution to 16 channels; accepted: resnet20, /,
    );
    expect(
      await changed((tensors) => {
        tensors.clear();
        tensors.set('patch_embed.proj.weight', filled([4]));
      }),
    ).to.match(/^no ResNet \(its tensors: patch_embed\.proj\.weight\); accepted: the names of torchvision, /);
  });

  it('a key or a prefix that is not there: those that are', async () => {
    expect(await refusal(fixture('slimclr.pth'), { key: 'model' })).to.equal(
      '--key model is no dictionary of tensors there; accepted: state_dict',
    );
    expect(await refusal(fixture('slimclr.pth'), { prefix: 'encoder_q.' })).to.equal(
      '--prefix encoder_q. begins no ResNet; accepted: module.encoder_q., module.encoder_k.',
    );
    // The key network of the fixture has a beginning only.
    expect(await refusal(fixture('slimclr.pth'), { prefix: 'module.encoder_k.' })).to.match(
      /^a ResNet of basic blocks \[1\] /,
    );
  });

  it('narrower widths without images to calibrate them on; a folder that holds a run', async () => {
    const output = join(folder, 'taken');
    await importRun(fixture('plain.pth'), { output });
    const again = await rejection(importRun(fixture('plain.pth'), { output }));
    expect(again.message).to.equal(`${output} already holds a run; another --output starts a new one`);
    const foreign = join(folder, 'foreign');
    await mkdir(foreign);
    await writeFile(join(foreign, 'config.json'), '{"model_type":"bert"}');
    expect((await rejection(importRun(fixture('plain.pth'), { output: foreign }))).message).to.match(
      /is not the config of a run and would be replaced; accepted: another folder$/,
    );
    const narrow = await rejection(
      importRun(fixture('plain.pth'), { output: join(folder, 'narrow'), widths: [1, 0.5, 0.25] }),
    );
    expect(narrow.message).to.match(
      /^the file has no batch norm of w0\.50, w0\.25; accepted: images to calibrate it on/,
    );
    expect(existsSync(join(folder, 'narrow'))).to.equal(false);
  });
});
