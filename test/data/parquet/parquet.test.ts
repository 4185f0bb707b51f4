import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import sharp from 'sharp';
import { encodedFile } from '../../../src/data/imageStore.js';
import { compressors } from '../../../src/data/parquet/decodePage.js';
import { snappyFragments } from '../../../src/data/parquet/snappyFragments.js';
import { openSource, type ImageSource } from '../../../src/data/source.js';
import { describeSource } from '../../../src/data/sourceDescription.js';
import { Random } from '../../../src/random.js';
import { UsageError } from '../../../src/errors.js';
import { arrowPython } from '../../support/pythons.js';
import { rejection } from '../../support/rejection.js';
import { writeImages } from './writeImages.js';
import { removeFolder } from '../../support/removeFolder.js';

const arrow = arrowPython();

describe('Parquet files of images', () => {
  let folder: string;
  /** Of 1 to 30 kB, not to be compressed. */
  let pngs: Buffer[];
  before(async () => {
    pngs = await Promise.all(
      Array.from({ length: 11 }, (_, i) => {
        const [side, random] = [20 + 8 * i, new Random(i)];
        const data = Uint8Array.from({ length: side * side * 3 }, () => random.integer(256));
        return sharp(data, { raw: { width: side, height: side, channels: 3 } })
          .png()
          .toBuffer();
      }),
    );
  });
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'slimclr-parquet-'))));
  afterEach(() => removeFolder(folder));

  const at = (name: string) => join(folder, name);
  const labelsOf = (count: number) => Array.from({ length: count }, (_, i) => BigInt(i % 3));
  const names = ['zebra', 'ant', 'cat'];
  const files = async (source: ImageSource) => {
    const { store } = source;
    return Promise.all(Array.from({ length: source.length }, (_, i) => encodedFile(store, i)));
  };
  const expectAll = async (source: ImageSource, images: readonly Uint8Array[]) => {
    const read = await files(source);
    expect(read.map((file) => file.toString('base64'))).to.deep.equal(
      images.map((image) => Buffer.from(image).toString('base64')),
    );
    // Again, in another order, by what is known of the pages.
    for (const i of [...images.keys()].reverse()) expect((await source.read(i)).width).to.be.greaterThan(19);
  };

  for (const codec of ['SNAPPY', 'UNCOMPRESSED'] as const) {
    for (const encoding of ['PLAIN', 'RLE_DICTIONARY', 'DELTA_BYTE_ARRAY'] as const) {
      it(`${codec}, ${encoding}: every image, byte by byte, with names, classes in the order of the schema`, async () => {
        const images = [...pngs, pngs[3]!, pngs[0]!];
        writeImages(at('a.parquet'), { images, labels: labelsOf(13), names, codec, encoding });
        const source = await openSource(at('a.parquet'));
        await expectAll(source, images);
        expect(source.classes).to.deep.equal(names);
        expect([...source.labels!]).to.deep.equal(labelsOf(13).map(Number));
        expect([source.nameOf(0), source.nameOf(12)]).to.deep.equal(['a.parquet/0', 'a.parquet/12']);
      });
    }
  }

  it('a folder of them: one after the other; others are looked over; of several splits it is refused', async () => {
    writeImages(at('train-00001-of-00002.parquet'), { images: pngs.slice(5) });
    writeImages(at('train-00000-of-00002.parquet'), { images: pngs.slice(0, 5) });
    writeFileSync(at('README.md'), 'text');
    const source = await openSource(folder);
    await expectAll(source, pngs);
    expect(source.nameOf(5)).to.equal('train-00001-of-00002.parquet/0');
    expect([source.labels, source.classes]).to.deep.equal([null, null]);
    writeImages(at('test-00000-of-00001.parquet'), { images: pngs.slice(0, 5) });
    await expectAll(await openSource(at('train-*.parquet')), pngs);
    await expectAll(await openSource(at('train-{00000..00001}-of-00002.parquet')), pngs);
    expect((await rejection(openSource(folder))).message).to.match(
      /holds Parquet files of several splits \(test, train\); accepted: those of one, such as .*train-\*\.parquet$/,
    );
  });

  it('rows without an image are counted and named; labels below 0 are none', async () => {
    const images = [pngs[0]!, null, pngs[1]!, pngs[2]!];
    writeImages(at('a.parquet'), { images, labels: [2n, 0n, -1n, 1n], names });
    const source = await openSource(at('a.parquet'));
    await expectAll(source, [pngs[0]!, pngs[1]!, pngs[2]!]);
    expect([...source.labels!]).to.deep.equal([2, -1, 1]);
    expect(source.skipped).to.deep.equal([{ path: 'a.parquet/1', reason: 'the row holds no image' }]);
    expect(source.notices).to.deep.equal([
      `${at('a.parquet')}: 1 row without an image`,
      `${at('a.parquet')}: 1 of 3 images without a label`,
    ]);
    expect(source.nameOf(1)).to.equal('a.parquet/2');
  });

  it('numbers and truth values without names are classes in their order', async () => {
    writeImages(at('a.parquet'), { images: pngs.slice(0, 3), labels: [10n, 9n, 10n] });
    const source = await openSource(at('a.parquet'));
    expect([source.classes, [...source.labels!]]).to.deep.equal([
      ['9', '10'],
      [1, 0, 1],
    ]);
    writeImages(at('a.parquet'), { images: pngs.slice(0, 3), labels: [true, false, true] });
    const truths = await openSource(at('a.parquet'));
    expect([truths.classes, [...truths.labels!]]).to.deep.equal([
      ['false', 'true'],
      [1, 0, 1],
    ]);
  });

  it('a limit takes some by the seed; a damaged image is replaced by the next of its class', async () => {
    const images = [...pngs.slice(0, 4), Buffer.from('none'), ...pngs.slice(4)];
    writeImages(at('a.parquet'), { images, labels: labelsOf(12), names });
    const some = await openSource(at('a.parquet'), { limit: 5, seed: 3 });
    expect(some.length).to.equal(5);
    const source = await openSource(at('a.parquet'));
    expect((await source.read(4)).width).to.equal((await source.read(7)).width);
    expect(source.skipped.map(({ path }) => path)).to.deep.equal(['a.parquet/4']);
    const { count, skipped } = await describeSource(source);
    expect([count, skipped.length]).to.deep.equal([11, 1]);
  });

  it('fingerprint: of the content and the classes, wherever and whenever the file was written', async () => {
    writeImages(at('a.parquet'), { images: pngs, labels: labelsOf(11), names });
    const first = await openSource(at('a.parquet'));
    copyFileSync(at('a.parquet'), at('b.parquet'));
    utimesSync(at('b.parquet'), 1, 1);
    const copy = await openSource(at('b.parquet'));
    expect(copy.fingerprint).to.equal(first.fingerprint);
    expect(copy.identity).not.to.equal(first.identity);
    writeImages(at('c.parquet'), { images: pngs, labels: labelsOf(11).reverse(), names });
    writeImages(at('d.parquet'), { images: [...pngs].reverse(), labels: labelsOf(11), names });
    const all = await Promise.all(['c', 'd'].map((name) => openSource(at(`${name}.parquet`))));
    const some = await openSource(at('a.parquet'), { limit: 10 });
    expect(new Set([first, ...all, some].map(({ fingerprint }) => fingerprint)).size).to.equal(4);
  });

  it('a file that is torn is skipped with the reason; none at all is wrong usage, one line', async () => {
    writeImages(at('a.parquet'), { images: pngs.slice(0, 3) });
    writeImages(at('b.parquet'), { images: pngs });
    truncateSync(at('b.parquet'), 5000);
    const source = await openSource(folder);
    expect(source.length).to.equal(3);
    expect(source.skipped.map(({ path }) => path)).to.deep.equal(['b.parquet']);
    const refusal = async (name: string) => {
      const error = await rejection(openSource(at(name)));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.match(/^[^\n]+$/);
      return error.message;
    };
    expect(await refusal('b.parquet')).to.match(
      /^no readable image in .*b\.parquet: 1 skipped, the first b\.parquet \(/,
    );
    expect(await refusal('{a,a}.parquet')).to.match(/names .*a\.parquet twice; accepted: each file once$/);
    writeFileSync(at('c.parquet'), 'PAR1');
    expect(await refusal('c.parquet')).to.match(/\(is no Parquet file\)$/);
    const head = readFileSync(at('a.parquet'));
    for (let i = 0; i < 40; i++) {
      const torn = Buffer.from(head);
      torn[torn.length - 9 - 3 * i]! ^= 0x55;
      writeFileSync(at('d.parquet'), torn);
      const error = await openSource(at('d.parquet')).then(
        () => null,
        (cause: unknown) => cause,
      );
      if (error !== null) expect(error).to.be.instanceOf(UsageError);
    }
  });

  it('files of other classes together are refused', async () => {
    mkdirSync(at('x'));
    writeImages(at('x/a.parquet'), { images: pngs.slice(0, 3), labels: labelsOf(3), names });
    writeImages(at('x/b.parquet'), { images: pngs.slice(0, 3), labels: labelsOf(3), names: ['a', 'b', 'c'] });
    expect((await rejection(openSource(at('x')))).message).to.match(
      /the classes of b\.parquet \(a, b, c, \.\.\.\) are not those of a\.parquet \(zebra, ant, cat, \.\.\.\)/,
    );
  });

  it('a page is never decompressed to more than it says', () => {
    const zeros = Buffer.alloc(2 ** 20);
    const packed = { GZIP: gzipSync(zeros), BROTLI: brotliCompressSync(zeros) };
    for (const codec of ['GZIP', 'BROTLI'] as const) {
      expect(compressors[codec]!(packed[codec], zeros.length)).to.deep.equal(zeros);
      expect(() => compressors[codec]!(packed[codec], 10)).to.throw(RangeError, /larger than 10 bytes/);
    }
  });

  it('streams of Snappy whose parts do not stand for themselves are told from others', () => {
    // 4 bytes, then 4 that are copied from 4 before.
    const copies = Uint8Array.of(8, 12, 1, 2, 3, 4, 1, 4);
    expect([...snappyFragments(copies, 8)!]).to.deep.equal([1, 8]);
    expect(snappyFragments(copies, 9)).to.equal(null);
    expect(snappyFragments(copies.subarray(0, 5), 8)).to.equal(null);
    expect(snappyFragments(Uint8Array.of(8, 12, 1, 2, 3, 4, 1, 5), 8)).to.equal(null);
  });

  for (const compression of ['snappy', 'none', 'gzip', 'zstd', 'lz4']) {
    it(`pyarrow, ${compression}${arrow.missing}`, async function () {
      if (arrow.missing) return this.skip();
      const script = `
import sys, pyarrow as pa, pyarrow.parquet as pq
folder, compression, version = sys.argv[1:]
images = [{"bytes": open(f"{folder}/{i}.png", "rb").read(), "path": f"{i}.png"} for i in range(11)] * 30
table = pa.table({"image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
                  "label": pa.array([i % 3 for i in range(330)], pa.int64())})
features = '{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["zebra", "ant", "cat"], "_type": "ClassLabel"}}}}'
table = table.replace_schema_metadata({"huggingface": features})
pq.write_table(table, f"{folder}/a.parquet", compression=compression, row_group_size=100, data_page_version=version)`;
      for (const [i, png] of pngs.entries()) writeFileSync(at(`${i}.png`), png);
      const version = compression === 'gzip' ? '2.0' : '1.0';
      const written = spawnSync(arrow.python, ['-c', script, folder, compression, version], {
        encoding: 'utf8',
      });
      expect(written.stderr).to.equal('');
      if (
        compression === 'lz4' ||
        (compression === 'zstd' && Number(process.versions.node.split('.')[0]) < 22)
      ) {
        expect((await rejection(openSource(at('a.parquet')))).message).to.match(
          /is compressed by (LZ4_RAW|ZSTD); accepted: UNCOMPRESSED, SNAPPY, GZIP, BROTLI, (ZSTD|and with Node\.js 22\.15 ZSTD)\)$/,
        );
        return;
      }
      const source = await openSource(at('a.parquet'));
      await expectAll(
        source,
        Array.from({ length: 330 }, (_, i) => pngs[i % 11]!),
      );
      expect(source.classes).to.deep.equal(names);
    });
  }
});
