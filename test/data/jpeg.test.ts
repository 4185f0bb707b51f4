import { expect } from 'chai';
import sharp, { type JpegOptions, type Sharp } from 'sharp';
import { decodeOrdinaryJpeg } from '../../src/data/jpeg.js';
import { hasLibjpegTurbo } from '../../src/data/libjpegTurbo.js';

/** Noise over a smooth picture of 101 x 67 pixels, so that no side is a multiple of a block. */
function photograph(): Sharp {
  const [width, height] = [101, 67];
  const data = new Uint8ClampedArray(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const [x, y, channel] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3];
    data[i] = 128 + 90 * Math.sin(x / (9 + channel)) * Math.cos(y / (7 + channel)) + ((i * 7919) % 31);
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

const encode = (options: JpegOptions = {}, image = photograph()) => image.jpeg(options).toBuffer();

/** The file with an EXIF segment whose only entry is the orientation. */
function withOrientation(file: Buffer, order: 'II' | 'MM', orientation: number): Buffer {
  const littleEndian = order === 'II';
  const tiff = new DataView(new ArrayBuffer(26));
  tiff.setUint16(0, order.charCodeAt(0) * 0x101);
  tiff.setUint16(2, 42, littleEndian);
  tiff.setUint32(4, 8, littleEndian);
  tiff.setUint16(8, 1, littleEndian);
  tiff.setUint16(10, 0x0112, littleEndian);
  tiff.setUint16(12, 3, littleEndian);
  tiff.setUint32(14, 1, littleEndian);
  tiff.setUint16(18, orientation, littleEndian);
  const content = Buffer.concat([Buffer.from('Exif\0\0'), Buffer.from(tiff.buffer)]);
  const header = Buffer.from([0xff, 0xe1, 0, content.length + 2]);
  return Buffer.concat([file.subarray(0, 2), header, content, file.subarray(2)]);
}

describe('decodeOrdinaryJpeg', function () {
  before(function () {
    // Everything is left to sharp then.
    if (!hasLibjpegTurbo) this.skip();
  });

  for (const chromaSubsampling of ['4:4:4', '4:2:0']) {
    for (const quality of [50, 90, 100]) {
      it(`${chromaSubsampling} of quality ${quality}: the pixels of sharp, bit for bit`, async () => {
        const file = await encode({ quality, chromaSubsampling });
        const { data, width, height } = decodeOrdinaryJpeg(file)!;
        expect({ width, height }).to.deep.equal({ width: 101, height: 67 });
        expect(Buffer.from(data).equals(await sharp(file).raw().toBuffer())).to.be.true;
      });
    }
  }

  it('into memory of the caller: exactly the image, nothing beside it', async () => {
    const file = await encode();
    const room = new Uint8Array(3 * 101 * 67 + 200).fill(77);
    const { data } = decodeOrdinaryJpeg(file, (width, height) =>
      room.subarray(100, 100 + 3 * width * height),
    )!;
    expect(data.buffer).to.equal(room.buffer);
    expect(data).to.deep.equal(decodeOrdinaryJpeg(file)!.data);
    expect([...room.subarray(0, 100), ...room.subarray(-100)].every((value) => value === 77)).to.be.true;
  });

  it('memory of another size: nothing is written', async () => {
    const memory = new Uint8Array(3 * 101 * 66);
    expect(decodeOrdinaryJpeg(await encode(), () => memory)).to.equal(null);
    expect(memory.every((value) => value === 0)).to.be.true;
  });

  it('damaged between its headers and its end: left to sharp', async () => {
    const file = await encode({ quality: 90 });
    // A marker of a restart interval that there is none of.
    file.set([0xff, 0xd3], file.length >> 1);
    expect(decodeOrdinaryJpeg(file)).to.equal(null);
  });

  for (const order of ['II', 'MM'] as const) {
    it(`EXIF in byte order ${order}: ordinary when it says upright, left to sharp when it says turned`, async () => {
      const file = await encode();
      expect(decodeOrdinaryJpeg(withOrientation(file, order, 1))).to.deep.equal(decodeOrdinaryJpeg(file));
      expect(decodeOrdinaryJpeg(withOrientation(file, order, 6))).to.equal(null);
      expect((await sharp(withOrientation(file, order, 6)).metadata()).orientation).to.equal(6);
    });
  }

  const others: Readonly<Record<string, () => Promise<Buffer>>> = {
    'a colour profile': () => encode({}, photograph().withIccProfile('p3')),
    'one channel': () => encode({}, photograph().toColourspace('b-w')),
    CMYK: () => encode({}, photograph().toColourspace('cmyk')),
    'progressive scans': () => encode({ progressive: true }),
    PNG: () => photograph().png().toBuffer(),
    'a truncated file': async () => (await encode()).subarray(0, 1500),
    'a file that ends in its headers': async () => (await encode()).subarray(0, 100),
    'an empty file': () => Promise.resolve(Buffer.alloc(0)),
  };
  for (const [name, make] of Object.entries(others)) {
    it(`${name}: left to sharp`, async () => {
      expect(decodeOrdinaryJpeg(await make())).to.equal(null);
    });
  }
});
