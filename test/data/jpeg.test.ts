import { expect } from 'chai';
import sharp, { type JpegOptions, type Sharp } from 'sharp';
import { decodeOrdinaryJpeg } from '../../src/data/jpeg.js';

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

describe('decodeOrdinaryJpeg', () => {
  for (const chromaSubsampling of ['4:4:4', '4:2:0']) {
    it(`${chromaSubsampling}: within 2 of libjpeg in all but one value of a hundred, nowhere beyond 4`, async () => {
      const file = await encode({ quality: 90, chromaSubsampling });
      const { data, width, height } = decodeOrdinaryJpeg(file)!;
      const expected = await sharp(file).raw().toBuffer();
      expect({ width, height }).to.deep.equal({ width: 101, height: 67 });
      const differences = expected.map((value, i) => Math.abs(value - data[i]!));
      expect(Math.max(...differences)).to.be.at.most(4);
      expect(differences.filter((value) => value > 2).length).to.be.below(data.length / 100);
      const bias = data.reduce((sum, value, i) => sum + value - expected[i]!, 0) / data.length;
      expect(bias).to.be.closeTo(0, 0.25);
    });
  }

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
