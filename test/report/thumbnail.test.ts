import { expect } from 'chai';
import sharp from 'sharp';
import { ImageTransform } from '../../src/data/transform.js';
import { denormalized, thumbnail } from '../../src/report/thumbnail.js';
import { Random } from '../../src/random.js';

const decode = async (uri: string) => {
  const [header, base64] = uri.split(',') as [string, string];
  expect(header).to.equal('data:image/jpeg;base64');
  return sharp(Buffer.from(base64, 'base64')).raw().toBuffer({ resolveWithObject: true });
};

describe('thumbnail', () => {
  it('a wide photograph: the middle, 64 x 64', async () => {
    // Red, then a blue square in the middle, then red.
    const [width, height] = [300, 100];
    const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
      const x = Math.floor(i / 3) % width;
      const isBlue = x >= 100 && x < 200;
      return i % 3 === (isBlue ? 2 : 0) ? 200 : 0;
    });
    const { data: pixels, info } = await decode(await thumbnail({ width, height, channels: 3, data }));
    expect([info.width, info.height]).to.deep.equal([64, 64]);
    const blue = pixels.filter((_, i) => i % 3 === 2);
    expect(blue.filter((value) => value > 150).length).to.be.above(0.95 * blue.length);
  });

  it('a small image keeps its pixels', async () => {
    const data = Uint8Array.from({ length: 3 * 32 * 32 }, (_, i) => [180, 90, 30][i % 3]!);
    const { data: pixels, info } = await decode(
      await thumbnail({ width: 32, height: 32, channels: 3, data }),
    );
    expect([info.width, info.height]).to.deep.equal([32, 32]);
    expect(Math.max(...data.map((value, i) => Math.abs(value - pixels[i]!)))).to.be.below(4);
  });
});

describe('denormalized', () => {
  it('is the inverse of the transform for evaluation', () => {
    const [mean, std] = [[0.49, 0.48, 0.44], [0.25, 0.24, 0.26]] as const; // prettier-ignore
    const random = new Random(3);
    const data = Uint8Array.from({ length: 3 * 16 * 16 }, () => random.integer(256));
    const input = new Float32Array(data.length);
    new ImageTransform(16, mean, std).evaluation({ width: 16, height: 16, channels: 3, data }, input, 0);
    expect(denormalized(input, 16, mean, std)).to.deep.equal({ width: 16, height: 16, channels: 3, data });
  });
});
