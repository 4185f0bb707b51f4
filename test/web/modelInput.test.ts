import { expect } from 'chai';
import { asColour } from '../../src/data/rawImage.js';
import { ImageTransform } from '../../src/data/transform.js';
import { fromFloat16 } from '../../src/onnx/float16.js';
import { Random } from '../../src/random.js';
import { ModelInput, type InputDescription, type Pixels } from '../../src/web/modelInput.js';

const [mean, std] = [[0.4914, 0.4822, 0.4465] as const, [0.247, 0.2435, 0.2616] as const];

function noise(
  width: number,
  height: number,
  channels = 3,
  seed = 1,
): Pixels & { readonly data: Uint8Array } {
  const random = new Random(seed);
  const data = Uint8Array.from({ length: width * height * channels }, () => random.integer(256));
  return { width, height, data };
}

/** A model for images of 32 x 32 pixels. */
function model(
  input: Partial<InputDescription['inputs'][0]> = {},
  preprocessing: Partial<InputDescription['preprocessing']> = {},
): InputDescription {
  return {
    file: 'model.onnx',
    inputs: [{ name: 'images', dtype: 'float32', shape: ['batch', 3, 32, 32], ...input }],
    preprocessing: {
      inGraph: [],
      shortSide: 37,
      crop: { size: 32 },
      layout: 'nchw',
      order: 'rgb',
      scale: 1 / 255,
      mean,
      std,
      ...preprocessing,
    },
  };
}

/** What training's evaluation makes of an image, [3, 32, 32]. */
function expected(
  image: Pixels & { readonly data: Uint8Array },
  m = mean as typeof mean | readonly [0, 0, 0],
  s = std as typeof std | readonly [1, 1, 1],
): Float32Array {
  const out = new Float32Array(3 * 32 * 32);
  new ImageTransform(32, m, s).evaluation({ ...image, channels: 3 }, out, 0);
  return out;
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).to.equal(b.length);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

const sizes = [[32, 32], [33, 47], [640, 427], [20, 90], [37, 37], [1, 5]] as const; // prettier-ignore

describe('input of an exported model', () => {
  for (const [width, height] of sizes) {
    it(`${width} x ${height}: the pixels of evaluation; RGBA as RGB`, () => {
      const image = noise(width, height);
      const input = new ModelInput(model());
      const { shape, data } = input.of([image]);
      expect(shape).to.deep.equal([1, 3, 32, 32]);
      expect(largestDifference(data, expected(image))).to.be.below(1e-6);
      const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
      image.data.forEach((value, i) => (rgba[4 * Math.floor(i / 3) + (i % 3)] = value));
      expect(input.of([{ width, height, data: rgba }]).data).to.deep.equal(data);
    });
  }

  it('several images; a model of a fixed batch is filled up', () => {
    const images = [noise(40, 50, 3, 1), noise(60, 33, 3, 2)];
    const any = new ModelInput(model()).of(images);
    expect(any.shape).to.deep.equal([2, 3, 32, 32]);
    const fixed = new ModelInput(model({ shape: [4, 3, 32, 32] }));
    expect(fixed.batch).to.equal(4);
    const { shape, data } = fixed.of(images);
    expect(shape).to.deep.equal([4, 3, 32, 32]);
    expect(data.slice(0, any.data.length)).to.deep.equal(any.data);
    expect(largestDifference(any.data.slice(3072), expected(images[1]!))).to.be.below(1e-6);
  });

  it('what is transparent lies over white', () => {
    const data = Uint8Array.from(
      { length: 4 * 32 * 32 },
      (_, i) => [200, 100, 0, i < 2048 ? 0 : 102][i % 4]!,
    );
    const made = new ModelInput(model({}, { mean: [0, 0, 0], std: [1, 1, 1] })).of([
      { width: 32, height: 32, data },
    ]);
    const at = (pixel: number) => [0, 1, 2].map((c) => Math.round(255 * made.data[1024 * c + pixel]!));
    expect(at(0)).to.deep.equal([255, 255, 255]);
    expect(at(1000)).to.deep.equal([233, 193, 153]);
  });

  it('bytes, [S, S, 3], for a model that normalises by itself', () => {
    const image = noise(50, 70);
    const description = model(
      { dtype: 'uint8', shape: ['batch', 32, 32, 3] },
      { inGraph: ['normalize'], layout: 'nhwc' },
    );
    const { dtype, shape, data } = new ModelInput(description).of([image]);
    expect([dtype, shape]).to.deep.equal(['uint8', [1, 32, 32, 3]]);
    const values = expected(image, [0, 0, 0], [1, 1, 1]);
    const interleaved = data.map((_, i) => Math.round(255 * values[1024 * (i % 3) + Math.floor(i / 3)]!));
    expect(largestDifference(data, interleaved)).to.be.at.most(1);
    expect(data.filter((value, i) => value !== interleaved[i])).to.have.length.below(30);
  });

  it('the whole image for a model that resizes by itself; several only of one size', () => {
    const description = model(
      { dtype: 'uint8', shape: ['batch', 'height', 'width', 3] },
      { inGraph: ['resize', 'normalize'], layout: 'nhwc' },
    );
    const input = new ModelInput(description);
    const images = [noise(50, 70, 3, 1), noise(50, 70, 3, 2)];
    const { shape, data } = input.of(images);
    expect(shape).to.deep.equal([2, 70, 50, 3]);
    expect([...data]).to.deep.equal(images.flatMap((image) => [...image.data]));
    expect(() => input.of([noise(50, 70), noise(50, 71)])).to.throw(
      /50 x 70 .* 50 x 71 .*accepted: images of one/,
    );
  });

  it('float16: the bits of the same values', () => {
    const image = noise(50, 70);
    const { dtype, data } = new ModelInput(model({ dtype: 'float16' })).of([image]);
    expect(dtype).to.equal('float16');
    expect(largestDifference(fromFloat16(data), expected(image))).to.be.within(1e-5, 2e-3);
  });

  it('a model of grey: RGB and RGBA as their luma, grey as it is', () => {
    const rgb = noise(40, 30);
    const grey = asColour({ ...rgb, channels: 3 }, 1);
    const out = new Float32Array(32 * 32);
    new ImageTransform(32, [0.4], [0.2]).evaluation(grey, out, 0);
    const rgba = new Uint8ClampedArray(4 * 40 * 30).fill(255);
    rgb.data.forEach((value, i) => (rgba[4 * Math.floor(i / 3) + (i % 3)] = value));
    const input = new ModelInput(
      model({ shape: ['batch', 1, 32, 32] }, { order: 'grey', mean: [0.4], std: [0.2] }),
    );
    for (const data of [rgb.data, rgba, grey.data]) {
      const made = input.of([{ width: 40, height: 30, data }]);
      expect(made.shape).to.deep.equal([1, 1, 32, 32]);
      expect(largestDifference(made.data, out)).to.be.below(1e-6);
    }
  });

  it('a model of four bands of 16 bits: nothing lies over white; bytes are as good', () => {
    const random = new Random(4);
    const bytes = Uint8Array.from({ length: 4 * 50 * 40 }, () => random.integer(256));
    const deep = Uint16Array.from(bytes, (value) => 257 * value);
    const [mean, std] = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]; // prettier-ignore
    const out = new Float32Array(4 * 32 * 32);
    const image = { width: 50, height: 40, channels: 4, data: deep };
    new ImageTransform(32, mean, std).evaluation(image, out, 0);
    const input = new ModelInput(
      model({ shape: ['batch', 4, 32, 32] }, { order: 'bands', scale: 1 / 65_535, mean, std }),
    );
    for (const data of [deep, bytes]) {
      const made = input.of([{ width: 50, height: 40, data }]);
      expect(made.shape).to.deep.equal([1, 4, 32, 32]);
      expect(largestDifference(made.data, out)).to.be.below(1e-6);
    }
    expect(() => input.of([noise(4, 4)])).to.throw(/4 x 4 pixels has 48 bytes; accepted: 4 a pixel/);
  });

  it('a model that takes something else, an image of too few bytes: one line', () => {
    for (const [description, message] of [
      [
        model({ dtype: 'int64' }),
        /model.onnx has the inputs images of int64; accepted: one of float32, float16, uint8/,
      ],
      [model({}, { order: 'bgr' }), /the order bgr, nchw; accepted: rgb, grey, bands, nchw or nhwc/],
    ] as const) {
      expect(() => new ModelInput(description)).to.throw(message);
    }
    const image = { width: 4, height: 4, data: new Uint8Array(16) };
    expect(() => new ModelInput(model()).of([image])).to.throw(
      /4 x 4 pixels has 16 bytes; accepted: 3 or 4 a pixel/,
    );
  });
});
