import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { expect } from 'chai';
import sharp from 'sharp';
import { decodeFile } from '../../src/data/imageDecoder.js';
import { encodedFile, readImage, type ImageStore } from '../../src/data/imageStore.js';
import { openSource, type PixelFormat } from '../../src/data/source.js';
import { rejection } from '../support/rejection.js';
import { tiff, tiffHeight, tiffWidth } from './tiff.js';
import { removeFolder } from '../support/removeFolder.js';

/** Files that tifffile wrote, of 48 x 40 pixels: `sample` says what is in them. */
const fixture = (name: string) =>
  readFile(new URL(`../../../test/data/fixtures/${name}.tif`, import.meta.url));
const [width, height] = [48, 40];

function sample(x: number, y: number, band: number): number {
  return x * x * 7 + y * 131 + band * 5003 + ((x * y) % 17) * 211;
}

function samples(channels: number, bits: number): number[] {
  return Array.from({ length: width * height * channels }, (_, i) => {
    const pixel = Math.floor(i / channels);
    return sample(pixel % width, Math.floor(pixel / width), i % channels) % 2 ** bits;
  });
}

const of = (channels: number, depth: PixelFormat['depth'] = 8): PixelFormat => ({ channels, depth });
const pixels = tiffWidth * tiffHeight;

function raw(data: Uint8Array | Uint16Array, channels: 1 | 2 | 3 | 4) {
  return sharp(data, { raw: { width: tiffWidth, height: tiffHeight, channels } });
}

/** The PNG with a chunk tRNS behind its header, of values of 8 bits. */
function withTransparentColour(png: Buffer, values: readonly number[]): Buffer {
  const content = Buffer.concat([Buffer.from('tRNS'), ...values.map((value) => Buffer.of(0, value))]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(2 * values.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(zlib.crc32(content));
  return Buffer.concat([png.subarray(0, 33), length, content, check, png.subarray(33)]);
}

describe('images of other channels and of 16 bits', () => {
  /** Channels, bits and how the file keeps them. */
  const files: Record<string, readonly [channels: number, depth: PixelFormat['depth'], how: string]> = {
    grey16: [1, 16, 'Deflate, predictor'],
    bands4: [4, 8, 'LZW in strips'],
    'bands6-16': [6, 16, 'Deflate, predictor, tiles beyond the edge'],
    'bands6-16-lzw': [6, 16, 'LZW, predictor, big-endian, a plane a band'],
    'bands13-16-big': [13, 16, 'BigTIFF, big-endian, tiles of a plane a band'],
    'rgb-planes': [3, 8, 'Deflate, RGB in tiles of a plane a channel'],
    'bands3-16': [3, 16, 'PackBits, three bands that are no RGB'],
  };
  for (const [name, [channels, depth, how]] of Object.entries(files)) {
    it(`TIFF of ${channels} of ${depth} bits (${how}): its samples; cut off: refused`, async () => {
      const file = await fixture(name);
      const image = await decodeFile(file, of(channels, depth));
      expect([image.width, image.height, image.channels]).to.deep.equal([width, height, channels]);
      expect(image.data.BYTES_PER_ELEMENT).to.equal(depth / 8);
      expect(Array.from(image.data)).to.deep.equal(samples(channels, depth));
      if (depth === 16) {
        const { data } = await decodeFile(file, of(channels));
        expect(Array.from(data)).to.deep.equal(samples(channels, 16).map((value) => value >> 8));
      }
      for (const share of [0.2, 0.5, 0.95]) {
        const part = decodeFile(file.subarray(0, share * file.length), of(channels, depth));
        expect(await rejection(part)).to.be.an('error');
      }
    });
  }

  it('TIFF, uncompressed, of 2 and 6 bands: its samples', async () => {
    for (const channels of [2, 6]) {
      const data = Uint16Array.from({ length: channels * pixels }, (_, i) => (i * 7919) % 65_536);
      // A file in the middle of a buffer, at an odd place.
      const file = tiff({ bits: 16, samples: channels, photometric: 1, data });
      const shifted = Buffer.concat([Buffer.alloc(1), file]).subarray(1);
      const image = await decodeFile(shifted, of(channels, 16));
      expect(image.data).to.deep.equal(data);
    }
  });

  it('RGBA of PNG, WebP, AVIF as 4 bands: transparent pixels are what they are', async () => {
    const rgba = Uint8Array.from({ length: 4 * pixels }, (_, i) => (i * 37) % 256);
    const encoded = [
      raw(rgba, 4).png(),
      raw(rgba, 4).webp({ lossless: true, exact: true }),
      raw(rgba, 4).avif({ lossless: true }),
    ];
    for (const image of encoded) {
      const { channels, data } = await decodeFile(await image.toBuffer(), of(4));
      expect([channels, ...data]).to.deep.equal([4, ...rgba]);
    }
    const deep = Uint16Array.from(rgba, (value, i) => 257 * value + (i % 3) - (value === 255 ? 2 : 0));
    const file = await raw(deep, 4).toColourspace('rgb16').png().toBuffer();
    expect((await decodeFile(file, of(4, 16))).data).to.deep.equal(deep);
    expect(Array.from((await decodeFile(file, of(4))).data)).to.deep.equal(Array.from(deep, (v) => v >> 8));
  });

  it('grey PNG with transparency as 2 bands', async () => {
    const data = Uint8Array.from({ length: 2 * pixels }, (_, i) => (i * 37) % 256);
    const file = await raw(data, 2).toColourspace('b-w').png().toBuffer();
    const image = await decodeFile(file, of(2));
    expect([image.channels, ...image.data]).to.deep.equal([2, ...data]);
  });

  it('PNG of a palette, of RGB and of grey with transparency: bands like others', async () => {
    const rgba = Uint8Array.from({ length: 4 * pixels }, (_, i) => 85 * ((i * 37 + (i >> 2)) % 4));
    const palette = await raw(rgba, 4).png({ palette: true, dither: 0 }).toBuffer();
    const known = await sharp(palette).raw().toBuffer({ resolveWithObject: true });
    expect([palette[25], known.info.channels]).to.deep.equal([3, 4]);
    expect((await decodeFile(palette, of(4))).data).to.deep.equal(known.data);
    for (const [channels, key] of [
      [1, [7]],
      [3, [30, 60, 90]],
    ] as const) {
      const data = Uint8Array.from({ length: channels * pixels }, (_, i) =>
        i < 2 * channels ? key[i % channels]! : 100 + (i % 151),
      );
      const png = await raw(data, channels)
        .toColourspace(channels === 1 ? 'b-w' : 'srgb')
        .png()
        .toBuffer();
      const image = await decodeFile(withTransparentColour(png, key), of(channels + 1));
      const opaque = Array.from({ length: pixels }, (_, i) => [
        ...data.subarray(i * channels, (i + 1) * channels),
        i < 2 ? 0 : 255,
      ]);
      expect([image.channels, ...image.data]).to.deep.equal([channels + 1, ...opaque.flat()]);
      const cut = decodeFile(png.subarray(0, 36), of(channels + 1));
      expect(await rejection(cut)).to.have.property('message', 'ends within its PNG header');
    }
  });

  it('RGB as grey: the luma of ITU-R 601, as Pillow rounds it; grey stays, and is repeated for RGB', async () => {
    const rgb = Uint8Array.from({ length: 3 * pixels }, (_, i) => (i * 101) % 256);
    const expected = Array.from({ length: pixels }, (_, i) =>
      Math.round((19_595 * rgb[3 * i]! + 38_470 * rgb[3 * i + 1]! + 7471 * rgb[3 * i + 2]!) / 65_536),
    );
    const png = await decodeFile(await raw(rgb, 3).png().toBuffer(), of(1));
    expect([png.channels, ...png.data]).to.deep.equal([1, ...expected]);
    const jpeg = await raw(rgb, 3).jpeg({ quality: 95 }).toBuffer();
    const [asGrey, asRgb] = [await decodeFile(jpeg, of(1)), await decodeFile(jpeg, of(3))];
    expect(asGrey.data.length).to.equal(pixels);
    for (const [i, value] of asGrey.data.entries()) {
      const [r, g, b] = asRgb.data.subarray(3 * i, 3 * i + 3);
      expect(value).to.be.closeTo(0.299 * r! + 0.587 * g! + 0.114 * b!, 0.501);
    }
    const grey = Uint8Array.from({ length: pixels }, (_, i) => i);
    const file = await raw(grey, 1).toColourspace('b-w').png().toBuffer();
    expect((await decodeFile(file, of(1))).data).to.deep.equal(Buffer.from(grey));
    const repeated = await decodeFile(file, of(3));
    expect(Array.from(repeated.data)).to.deep.equal(
      Array.from(grey).flatMap((value) => [value, value, value]),
    );
  });

  it('16 bits of grey and RGB: every one is kept, black and white too; transparency over the whitest white', async () => {
    const grey = Uint16Array.from({ length: pixels }, (_, i) => [0, 65_535, 1, 65_534, 12_345][i % 5]!);
    const file = await raw(grey, 1).toColourspace('grey16').png().toBuffer();
    expect((await decodeFile(file, of(1, 16))).data).to.deep.equal(grey);
    expect((await decodeFile(file, of(3, 16))).data).to.deep.equal(
      Uint16Array.from({ length: 3 * pixels }, (_, i) => grey[Math.floor(i / 3)]!),
    );
    const rgba = Uint16Array.from({ length: 4 * pixels }, (_, i) => (i % 4 === 3 ? 0 : (i * 7919) % 65_536));
    const clear = await raw(rgba, 4).toColourspace('rgb16').png().toBuffer();
    expect((await decodeFile(clear, of(3, 16))).data).to.deep.equal(new Uint16Array(3 * pixels).fill(65_535));
    // What has 8 bits stays bytes.
    const bytes = await decodeFile(await raw(new Uint8Array(pixels), 1).png().toBuffer(), of(1, 16));
    expect(bytes.data.BYTES_PER_ELEMENT).to.equal(1);
  });

  it('packed images of grey and of RGB as the other', async () => {
    const rgb = Uint8Array.of(255, 0, 0, 0, 255, 0, 10, 10, 10, 0, 0, 255);
    const packed = (channels: 1 | 3, wanted: number): ImageStore => ({
      images: {
        kind: 'dataset',
        root: 'few',
        packed: {
          width: 2,
          height: 2,
          channels,
          pixels: rgb.subarray(0, 4 * channels),
          labels: new Int32Array(1),
        },
      },
      selection: Uint32Array.of(0),
      labels: null,
      pixels: of(wanted),
    });
    const read = async (store: ImageStore) => [
      ...(await readImage(store, 0, { onUnreadable: () => {} })).data,
    ];
    expect(await read(packed(3, 1))).to.deep.equal([76, 150, 10, 29]);
    expect(await read(packed(1, 1))).to.deep.equal([255, 0, 0, 0]);
    expect(await read(packed(1, 3))).to.deep.equal([255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (const channels of [1, 3] as const) {
      const file = await encodedFile(packed(channels, channels), 0);
      const decoded = await decodeFile(file, of(channels));
      expect([...decoded.data]).to.deep.equal([...rgb.subarray(0, 4 * channels)]);
    }
    const error = await rejection(openSource('cifar10', { pixels: of(4), offline: true }));
    expect(error)
      .to.have.property('message')
      .that.equals('cifar10 is of grey or RGB, not of 4 channels; accepted: data.channels 1 or 3');
  });

  describe('files of other channels than those of the run', () => {
    let folder: string;
    beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'slimclr-channels-'))));
    afterEach(() => removeFolder(folder));

    const band = (samples: number, photometric?: number) =>
      tiff({
        bits: 8,
        samples,
        ...(photometric !== undefined && { photometric }),
        data: new Uint8Array(samples * pixels),
      });
    const rgb = () => raw(new Uint8Array(3 * pixels), 3);
    const colours = 'accepted: grey or RGB, with or without transparency, or data.channels';
    const refused: Record<string, readonly [PixelFormat, () => Buffer | Promise<Buffer>, string]> = {
      'six bands for RGB': [of(3), () => band(6, 1), `has 6 channels; ${colours} 6`],
      'four bands of grey for RGB': [of(3), () => band(4, 1), `has 4 channels; ${colours} 4`],
      'three bands of grey for grey': [of(1), () => band(3, 1), `has 3 channels; ${colours} 3`],
      'five bands for four': [of(4), () => band(5), 'has 5 channels; accepted: 4, as data.channels says'],
      'grey TIFF for four': [of(4), () => band(1), 'has 1 channel; accepted: 4, as data.channels says'],
      'RGB PNG for four': [
        of(4),
        () => rgb().png().toBuffer(),
        'has 3 channels; accepted: 4, as data.channels says',
      ],
      'RGB WebP for four': [
        of(4),
        () => rgb().webp().toBuffer(),
        'has 3 channels; accepted: 4, as data.channels says',
      ],
      'lossless RGB WebP for four': [
        of(4),
        () => rgb().webp({ lossless: true }).toBuffer(),
        'has 3 channels; accepted: 4, as data.channels says',
      ],
      'RGB AVIF for four': [
        of(4),
        () => rgb().avif().toBuffer(),
        'has 3 channels; accepted: 4, as data.channels says',
      ],
      'JPEG for six': [
        of(6),
        () => rgb().jpeg().toBuffer(),
        'has 3 channels; accepted: 6, as data.channels says',
      ],
      '4-bit samples as bands': [
        of(2),
        () => tiff({ bits: 4, samples: 2, data: new Uint8Array(pixels) }),
        'has bands of 4 bits; accepted: 8 or 16',
      ],
      'bands of the lowest bit first': [
        of(5),
        () => tiff({ bits: 8, samples: 5, fillOrder: 2, data: new Uint8Array(5 * pixels) }),
        'has bands in bit order 2; accepted: 1, the highest first',
      ],
      'a compression that is not decoded': [
        of(3),
        () => tiff({ bits: 8, samples: 3, compression: 50_000, data: new Uint8Array(3 * pixels) }),
        'is compressed by Zstandard; accepted: none, CCITT, LZW, JPEG, Deflate, PackBits or WebP',
      ],
      'bands of floats': [
        of(5),
        () => tiff({ bits: 32, format: 3, samples: 5, data: new Float32Array(5 * pixels) }),
        'has samples of 32 bits, floating point; accepted: 8 or 16 bits, unsigned',
      ],
    };
    for (const [name, [format, make, reason]] of Object.entries(refused)) {
      it(`${name}: skipped when the folder is opened, with the reason, and not decoded`, async () => {
        const bytes = await make();
        const kept = new Uint8Array(format.channels * pixels);
        await writeFile(join(folder, 'x.tiff'), bytes);
        await writeFile(join(folder, 'ok.tiff'), tiff({ bits: 8, samples: format.channels, data: kept }));
        const source = await openSource(folder, { pixels: format });
        expect(source.skipped).to.deep.equal([{ path: 'x.tiff', reason }]);
        expect((await source.read(0)).channels).to.equal(format.channels);
        expect(await rejection(decodeFile(bytes, format))).to.have.property('message', reason);
      });
    }

    it('none of them fits: one line that says what would', async () => {
      await writeFile(join(folder, 'x.tiff'), band(6, 1));
      const error = await rejection(openSource(folder));
      expect(error).to.have.property('message').that.contains(`(has 6 channels; ${colours} 6)`);
    });
  });
});
