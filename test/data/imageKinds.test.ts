import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp, { type Sharp, type SharpOptions } from 'sharp';
import { decodeImage } from '../../src/data/imageDecoder.js';
import { PixelCheck, pixelNotices } from '../../src/data/pixelCheck.js';
import { openSource } from '../../src/data/source.js';
import { describeSource } from '../../src/data/sourceDescription.js';
import { rejection } from '../support/rejection.js';
import { tiff, tiffHeight, tiffWidth } from './tiff.js';
import { removeFolder } from '../support/removeFolder.js';

const pixels = tiffWidth * tiffHeight;
const ramp = (top: number) => (_: unknown, i: number) => Math.floor((i * top) / (pixels - 1));

/** Images of 16-bit samples, grey or RGB. */
function deep(data: Uint16Array, channels: 1 | 3 = 1): Sharp {
  const image = sharp(data, { raw: { width: tiffWidth, height: tiffHeight, channels } });
  return image.toColourspace(channels === 1 ? 'grey16' : 'rgb16');
}

function flat(channels: 3 | 4, alpha = 1): Sharp {
  const background = { r: 200, g: 10, b: 20, ...(channels === 4 && { alpha }) };
  return sharp({ create: { width: 16, height: 12, channels, background } });
}

describe('kinds of image files', () => {
  let folder: string;
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'slimclr-kinds-'))));
  afterEach(() => removeFolder(folder));
  const put = async (name: string, file: Buffer | string): Promise<string> => {
    await writeFile(join(folder, name), file);
    return join(folder, name);
  };

  /** Files that are refused, and why. */
  const refused: Record<string, readonly [() => Buffer | string | Promise<Buffer>, string]> = {
    'float32 TIFF': [
      () => tiff({ bits: 32, format: 3, data: Float32Array.from({ length: pixels }, (_, i) => i / pixels) }),
      'has samples of 32 bits, floating point; accepted: 8 or 16 bits, unsigned',
    ],
    'float64 TIFF': [
      () => tiff({ bits: 64, format: 3, data: new Float64Array(pixels) }),
      'has samples of 64 bits, floating point; accepted: 8 or 16 bits, unsigned',
    ],
    'half precision RGB TIFF': [
      () => tiff({ bits: 16, format: 3, samples: 3, data: new Uint16Array(3 * pixels) }),
      'has samples of 16 bits, floating point; accepted: 8 or 16 bits, unsigned',
    ],
    'int32 TIFF': [
      () => tiff({ bits: 32, format: 2, data: Int32Array.from({ length: pixels }, ramp(70_000)) }),
      'has samples of 32 bits, signed integers; accepted: 8 or 16 bits, unsigned',
    ],
    'uint32 TIFF': [
      () => tiff({ bits: 32, data: Uint32Array.from({ length: pixels }, ramp(70_000)) }),
      'has samples of 32 bits, unsigned; accepted: 8 or 16 bits, unsigned',
    ],
    'int16 TIFF': [
      () => tiff({ bits: 16, format: 2, data: Int16Array.from({ length: pixels }, ramp(30_000)) }),
      'has samples of 16 bits, signed integers; accepted: 8 or 16 bits, unsigned',
    ],
    'int8 TIFF': [
      () => tiff({ bits: 8, format: 2, data: new Int8Array(pixels) }),
      'has samples of 8 bits, signed integers; accepted: 8 or 16 bits, unsigned',
    ],
    '12 packed bits in a TIFF': [
      () => tiff({ bits: 12, data: new Uint8Array(1.5 * pixels) }),
      'has samples of 12 bits, unsigned; accepted: 8 or 16 bits, unsigned',
    ],
    'TIFF of five bands': [
      () => tiff({ bits: 8, samples: 5, data: new Uint8Array(5 * pixels) }),
      'has 5 channels; accepted: grey or RGB, with or without transparency, or data.channels 5',
    ],
    'YCbCr TIFF, which would be taken for RGB': [
      () => tiff({ bits: 8, samples: 3, photometric: 6, data: new Uint8Array(3 * pixels) }),
      'has colours of YCbCr without JPEG compression; accepted: grey, RGB, palette, CMYK or Lab',
    ],
    'raw sensor data in a TIFF': [
      () => tiff({ bits: 16, photometric: 32803, data: new Uint16Array(pixels) }),
      'has colours of a raw sensor; accepted: grey, RGB, palette, CMYK or Lab',
    ],
    'SVG by another name': [
      () => '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"/>',
      'is an SVG file or other XML; accepted: JPEG, PNG, WebP, GIF, AVIF or TIFF',
    ],
    'HEIC by another name': [
      () => Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'),
      'is a HEIC file; accepted: JPEG, PNG, WebP, GIF, AVIF or TIFF',
    ],
    'BMP by another name': [
      () => Buffer.concat([Buffer.from('BM'), Buffer.alloc(100)]),
      'is a BMP file; accepted: JPEG, PNG, WebP, GIF, AVIF or TIFF',
    ],
    'a page that says "not found"': [
      () => '<!DOCTYPE html><html></html>',
      'is an HTML page; accepted: JPEG, PNG, WebP, GIF, AVIF or TIFF',
    ],
    'an empty file': [() => '', 'is empty'],
    'a JPEG that ends in its header': [
      async () => (await flat(3).jpeg().toBuffer()).subarray(0, 100),
      'ends within its JPEG header',
    ],
    'a PNG of 20000 x 20000 pixels': [
      async () => {
        const file = await flat(3).png().toBuffer();
        file.writeUInt32BE(20_000, 16);
        file.writeUInt32BE(20_000, 20);
        return file;
      },
      'has 20000 x 20000 pixels; accepted: at most 268402689',
    ],
    'a JPEG of 65500 x 65500 pixels': [
      async () => {
        const file = await flat(3).jpeg().toBuffer();
        const frame = file.indexOf(Buffer.from([0xff, 0xc0]));
        file.writeUInt16BE(65_500, frame + 5);
        file.writeUInt16BE(65_500, frame + 7);
        return file;
      },
      'has 65500 x 65500 pixels; accepted: at most 268402689',
    ],
  };
  for (const [name, [make, reason]] of Object.entries(refused)) {
    it(`${name}: skipped when the folder is opened, with the reason, and not decoded`, async () => {
      const path = await put('x.tiff', await make());
      await put('ok.png', await flat(3).png().toBuffer());
      const source = await openSource(folder);
      expect(source.skipped).to.deep.equal([{ path: 'x.tiff', reason }]);
      expect(source.length).to.equal(1);
      const error = await rejection(decodeImage(path));
      if (name !== 'a JPEG of 65500 x 65500 pixels') expect(error.message).to.equal(reason);
    });
  }

  const [black, white, red, pink] = [
    [0, 0, 0],
    [255, 255, 255],
    [200, 10, 20],
    [227, 132, 137],
  ] as const;
  const grey = (data: Buffer) => sharp(data, { raw: { width: 16, height: 12, channels: 1 } });
  interface Taken {
    readonly make: () => Buffer | Promise<Buffer>;
    /** First and last pixel. */
    readonly ends: readonly (readonly number[])[];
    readonly tolerance?: number;
  }
  const taken: Record<string, Taken> = {
    '16-bit grey TIFF': {
      make: () => tiff({ bits: 16, data: Uint16Array.from({ length: pixels }, ramp(65_535)) }),
      ends: [black, white],
    },
    '16-bit RGB TIFF': {
      make: () => tiff({ bits: 16, samples: 3, data: new Uint16Array(3 * pixels).fill(257 * 100) }),
      ends: [
        [100, 100, 100],
        [100, 100, 100],
      ],
    },
    '16-bit grey PNG': {
      make: () =>
        deep(Uint16Array.from({ length: pixels }, ramp(65_535)))
          .png()
          .toBuffer(),
      ends: [black, white],
    },
    '16-bit RGB PNG': {
      make: () =>
        deep(new Uint16Array(3 * pixels).fill(65_535), 3)
          .png()
          .toBuffer(),
      ends: [white, white],
    },
    '16-bit PNG, transparent': {
      make: () => flat(4, 0).toColourspace('rgb16').png().toBuffer(),
      ends: [white, white],
    },
    '16-bit grey TIFF with a second channel': {
      make: () => tiff({ bits: 16, samples: 2, data: new Uint16Array(2 * pixels).fill(65_535) }),
      ends: [white, white],
    },
    '1-bit PNG': {
      make: () =>
        grey(Buffer.alloc(pixels, 255).fill(0, 0, 96))
          .png({ palette: true, colours: 2 })
          .toBuffer(),
      ends: [black, white],
    },
    '1-bit TIFF': {
      make: () => grey(Buffer.alloc(pixels, 255)).tiff({ bitdepth: 1 }).toBuffer(),
      ends: [white, white],
    },
    'palette PNG, half transparent over white': {
      make: () => flat(4, 0.5).png({ palette: true }).toBuffer(),
      ends: [pink, pink],
    },
    'transparent WebP': { make: () => flat(4, 0).webp().toBuffer(), ends: [white, white] },
    'AVIF of 10 bits': {
      make: () => flat(3).avif({ bitdepth: 10, lossless: true }).toBuffer(),
      ends: [red, red],
      tolerance: 3,
    },
    'CMYK JPEG': {
      make: () => flat(3).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer(),
      ends: [red, red],
      tolerance: 20,
    },
    'CMYK TIFF': {
      make: () => flat(3).toColourspace('cmyk').tiff().toBuffer(),
      ends: [red, red],
      tolerance: 20,
    },
    'animated GIF: its first page': { make: () => animation().gif().toBuffer(), ends: [red, red] },
    'animated WebP: its first page': {
      make: () => animation().webp({ lossless: true }).toBuffer(),
      ends: [red, red],
    },
    'one pixel': {
      make: () =>
        sharp(Buffer.from(red), { raw: { width: 1, height: 1, channels: 3 } })
          .png()
          .toBuffer(),
      ends: [red, red],
    },
  };
  for (const [name, { make, ends, tolerance = 1 }] of Object.entries(taken)) {
    it(`${name}: taken`, async () => {
      await put('x.tiff', await make());
      const source = await openSource(folder);
      expect(source.skipped).to.deep.equal([]);
      const { data } = await source.read(0);
      const found = [...data.subarray(0, 3), ...data.subarray(-3)];
      ends.flat().forEach((value, i) => expect(found[i], `${i}`).to.be.closeTo(value, tolerance));
    });
  }

  it('images of 16 bits that use 12, and are nearly black: said at the start and in the description', async () => {
    for (const i of [0, 1, 2]) {
      const data = Uint16Array.from({ length: pixels }, ramp(4095));
      await put(`${i}.tif`, tiff({ bits: 16, data }));
    }
    const source = await openSource(folder);
    const expected = [
      `${folder}: images of 16 bits use at most 12 of them, and are nearly black when 65535 is white; ` +
        'scale their values to the whole range first, or keep them with data.depth 16',
      `${folder}: 3 of 3 images that were looked at, 100 %, are nearly constant (3 nearly black); ` +
        'there is little to learn from them',
    ];
    expect(await pixelNotices(source)).to.deep.equal(expected);
    expect((await describeSource(source)).notices).to.deep.equal(expected);
  });

  it('as many of two kinds of blank images: told in the same order, whichever is decoded first', () => {
    const image = (value: number) => ({
      width: 32,
      height: 32,
      channels: 3,
      data: new Uint8Array(3 * 32 * 32).fill(value),
    });
    const [first, second] = [
      [0, 255],
      [255, 0],
    ].map((values) => {
      const check = new PixelCheck();
      for (const value of values) check.add(image(value), 8);
      return check.notices('images');
    });
    expect(first![0]).to.contain('(1 nearly black, 1 nearly white)');
    expect(second).to.deep.equal(first);
  });

  it('half of the images blank: a notice with the share; fewer, or with contrast: none', async () => {
    const noise = (sigma: number) =>
      sharp({
        create: {
          width: 32,
          height: 32,
          channels: 3,
          background: 'white',
          noise: { type: 'gaussian', mean: 128, sigma },
        },
      } as SharpOptions);
    await put('0.png', await noise(20).png().toBuffer());
    await put('1.png', await noise(1).png().toBuffer());
    await put('2.png', await flat(4, 0).png().toBuffer());
    await put('3.png', await noise(30).png().toBuffer());
    const notices = await pixelNotices(await openSource(folder));
    expect(notices).to.deep.equal([
      `${folder}: 2 of 4 images that were looked at, 50 %, are nearly constant (1 nearly of one colour, ` +
        '1 nearly white); there is little to learn from them',
    ]);
    await put('4.png', await noise(40).png().toBuffer());
    expect(await pixelNotices(await openSource(folder))).to.deep.equal([]);
  });
});

/** Two pages, red and blue. */
function animation(): Sharp {
  const data = Buffer.alloc(2 * 3 * pixels);
  for (let i = 0; i < 2 * pixels; i++) data.set(i < pixels ? [200, 10, 20] : [4, 5, 250], 3 * i);
  return sharp(data, {
    raw: { width: tiffWidth, height: 2 * tiffHeight, channels: 3, pageHeight: tiffHeight },
  });
}
