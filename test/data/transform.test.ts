import { expect } from 'chai';
import type { ColorStep, ViewParameters } from '../../src/data/augmentation.js';
import type { RawImage } from '../../src/data/source.js';
import { ImageTransform } from '../../src/data/transform.js';
import { Random } from '../../src/random.js';

// The reference in this file: images are [row][column] of [r, g, b] in 0..1, operations as torchvision
// defines them, written for the eye.
type Pixel = [number, number, number];
type Picture = Pixel[][];

const zeroMean = [0, 0, 0] as const;
const unitStd = [1, 1, 1] as const;

function noise(width: number, height: number, seed: number): RawImage {
  const random = new Random(seed);
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, () => random.integer(256)) };
}

function toPicture({ width, height, data }: RawImage): Picture {
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x): Pixel => {
      const i = (y * width + x) * 3;
      return [data[i]! / 255, data[i + 1]! / 255, data[i + 2]! / 255];
    }),
  );
}

function mapPixels(picture: Picture, f: (pixel: Pixel) => number[]): Picture {
  return picture.map((row) => row.map((pixel) => f(pixel) as Pixel));
}

const clamp = (value: number) => Math.min(1, Math.max(0, value));
const luma = ([r, g, b]: Pixel) => 0.2989 * r + 0.587 * g + 0.114 * b;
const blend = (a: number, b: number, factor: number) => clamp(factor * a + (1 - factor) * b);

function hue(pixel: Pixel, shift: number): number[] {
  const [r, g, b] = pixel;
  const value = Math.max(...pixel);
  const range = value - Math.min(...pixel);
  if (range === 0) return pixel;
  const saturation = range / value;
  const sixths = value === r ? (g - b) / range : value === g ? 2 + (b - r) / range : 4 + (r - g) / range;
  const turned = (((sixths / 6 + shift) % 1) + 1) % 1;
  const sector = Math.floor(turned * 6);
  const fraction = turned * 6 - sector;
  const p = value * (1 - saturation);
  const q = value * (1 - saturation * fraction);
  const t = value * (1 - saturation * (1 - fraction));
  return [
    [value, t, p],
    [q, value, p],
    [p, value, t],
    [p, q, value],
    [t, p, value],
    [value, p, q],
  ][sector % 6]!;
}

function jitter(picture: Picture, { kind, factor }: ColorStep): Picture {
  switch (kind) {
    case 'brightness':
      return mapPixels(picture, (pixel) => pixel.map((v) => blend(v, 0, factor)));
    case 'contrast': {
      const lumas = picture.flat().map(luma);
      const mean = lumas.reduce((sum, v) => sum + v, 0) / lumas.length;
      return mapPixels(picture, (pixel) => pixel.map((v) => blend(v, mean, factor)));
    }
    case 'saturation':
      return mapPixels(picture, (pixel) => pixel.map((v) => blend(v, luma(pixel), factor)));
    case 'hue':
      return mapPixels(picture, (pixel) => hue(pixel, factor));
  }
}

/** Weighted mean of the inputs under the triangle around an output's centre, for one axis and one channel. */
function resizeLine(line: readonly number[], size: number): number[] {
  const scale = line.length / size;
  const support = Math.max(1, scale);
  return Array.from({ length: size }, (_, i) => {
    const center = (i + 0.5) * scale;
    let sum = 0;
    let total = 0;
    line.forEach((value, j) => {
      const weight = Math.max(0, 1 - Math.abs(j + 0.5 - center) / support);
      sum += weight * value;
      total += weight;
    });
    return sum / total;
  });
}

function transpose(picture: Picture): Picture {
  return picture[0]!.map((_, x) => picture.map((row) => row[x]!));
}

function mapLines(picture: Picture, f: (line: number[]) => number[]): Picture {
  return picture.map((row) => {
    const [r, g, b] = [0, 1, 2].map((channel) => f(row.map((pixel) => pixel[channel]!)));
    return r!.map((_, x): Pixel => [r![x]!, g![x]!, b![x]!]);
  });
}

function resize(picture: Picture, width: number, height: number): Picture {
  const wide = mapLines(picture, (line) => resizeLine(line, width));
  return transpose(mapLines(transpose(wide), (line) => resizeLine(line, height)));
}

function cut(picture: Picture, x: number, y: number, width: number, height: number): Picture {
  return picture.slice(y, y + height).map((row) => row.slice(x, x + width));
}

function blurLine(line: number[], sigma: number): number[] {
  const radius = Math.min(line.length - 1, Math.ceil(3 * sigma));
  const reflect = (i: number) => (i < 0 ? -i : i >= line.length ? 2 * (line.length - 1) - i : i);
  return line.map((_, i) => {
    let sum = 0;
    let total = 0;
    for (let d = -radius; d <= radius; d++) {
      const weight = Math.exp(-(d * d) / (2 * sigma * sigma));
      sum += weight * line[reflect(i + d)]!;
      total += weight;
    }
    return sum / total;
  });
}

function reference(image: RawImage, parameters: ViewParameters, size: number): Picture {
  const { crop, flip, colorSteps, grayscale, blurSigma, solarize } = parameters;
  let picture = cut(toPicture(image), crop.x, crop.y, crop.width, crop.height);
  picture = resize(picture, size, size);
  for (const step of colorSteps) picture = jitter(picture, step);
  if (grayscale) picture = mapPixels(picture, (pixel) => new Array<number>(3).fill(luma(pixel)));
  if (blurSigma > 0) {
    const blur = (p: Picture) => mapLines(p, (line) => blurLine(line, blurSigma));
    picture = transpose(blur(transpose(blur(picture))));
  }
  if (solarize) picture = mapPixels(picture, (pixel) => pixel.map((v) => (v >= 128 / 255 ? 1 - v : v)));
  return flip ? picture.map((row) => row.toReversed()) : picture;
}

/** [3, H, W] */
function toPlanes(picture: Picture): number[] {
  return [0, 1, 2].flatMap((channel) => picture.flat().map((pixel) => pixel[channel]!));
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance = 2e-6): void {
  expect(actual.length).to.equal(expected.length);
  let worst = 0;
  expected.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - actual[i]!))));
  expect(worst).to.be.lessThan(tolerance);
}

function identity(width: number, height: number): ViewParameters {
  return {
    crop: { x: 0, y: 0, width, height },
    flip: false,
    colorSteps: [],
    grayscale: false,
    blurSigma: 0,
    solarize: false,
  };
}

function view(image: RawImage, parameters: ViewParameters, size: number): Float32Array {
  const out = new Float32Array(3 * size * size);
  new ImageTransform(size, zeroMean, unitStd).view(image, parameters, out, 0);
  return out;
}

describe('ImageTransform.view', () => {
  const image = noise(32, 32, 1);
  const base = identity(32, 32);

  it('identity parameters: the normalised image, exactly, at the offset and nowhere else', () => {
    const mean = [0.4914, 0.4822, 0.4465] as const;
    const std = [0.247, 0.2435, 0.2616] as const;
    const out = new Float32Array(3 * 3072).fill(99);
    new ImageTransform(32, mean, std).view(image, base, out, 3072);
    const expected = [0, 1, 2].flatMap((c) =>
      toPicture(image)
        .flat()
        .map((pixel) => (pixel[c]! - mean[c]!) / std[c]!),
    );
    expectClose(out.subarray(3072, 6144), expected, 3e-7);
    expect(out.subarray(0, 3072).every((value) => value === 99)).to.be.true;
    expect(out.subarray(6144).every((value) => value === 99)).to.be.true;
  });

  const steps: readonly ColorStep[] = [
    { kind: 'brightness', factor: 1.4 },
    { kind: 'brightness', factor: 0.6 },
    { kind: 'contrast', factor: 1.4 },
    { kind: 'contrast', factor: 0.6 },
    { kind: 'saturation', factor: 1.8 },
    { kind: 'saturation', factor: 0 },
    { kind: 'hue', factor: 0.1 },
    { kind: 'hue', factor: -0.5 },
    { kind: 'hue', factor: 0.5 },
  ];
  for (const step of steps) {
    it(`${step.kind} ${step.factor}: equals torchvision's definition, pixel by pixel`, () => {
      const parameters = { ...base, colorSteps: [step] };
      expectClose(view(image, parameters, 32), toPlanes(reference(image, parameters, 32)));
    });
  }

  it('hue of grey, black and white pixels: unchanged', () => {
    const data = Uint8Array.from([0, 0, 0, 255, 255, 255, 77, 77, 77, 1, 1, 1]);
    const parameters = { ...identity(2, 2), colorSteps: [{ kind: 'hue', factor: 0.1 } as const] };
    const greys = [0, 1, 77 / 255, 1 / 255];
    expectClose(view({ width: 2, height: 2, data }, parameters, 2), [...greys, ...greys, ...greys], 1e-7);
  });

  it('grayscale: three equal planes of the luma', () => {
    const parameters = { ...base, grayscale: true };
    expectClose(view(image, parameters, 32), toPlanes(reference(image, parameters, 32)));
  });

  it('solarize of every byte: 0 to 127 as they are, from 128 on inverted', () => {
    const data = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => Math.floor(i / 3));
    const plane = Array.from({ length: 256 }, (_, byte) => (byte < 128 ? byte : 255 - byte) / 255);
    const actual = view({ width: 16, height: 16, data }, { ...identity(16, 16), solarize: true }, 16);
    expectClose(actual, [...plane, ...plane, ...plane], 1e-7);
  });

  it('flip: columns reversed, exactly', () => {
    const straight = view(image, base, 32);
    const flipped = view(image, { ...base, flip: true }, 32);
    for (let i = 0; i < flipped.length; i++) {
      expect(flipped[i]).to.equal(straight[i - (i % 32) + 31 - (i % 32)]);
    }
  });

  for (const sigma of [0.1, 0.7, 2]) {
    it(`blur sigma ${sigma}: equals the convolution with a reflected border`, () => {
      const parameters = { ...base, blurSigma: sigma };
      expectClose(view(image, parameters, 32), toPlanes(reference(image, parameters, 32)));
    });
  }

  it('blur of a 3 x 3 image with a kernel wider than it: reflected within the image', () => {
    const small = noise(3, 3, 2);
    const parameters = { ...identity(3, 3), blurSigma: 2 };
    expectClose(view(small, parameters, 3), toPlanes(reference(small, parameters, 3)));
  });

  for (const [from, crop, size] of [
    ['32x32', { x: 5, y: 3, width: 17, height: 22 }, 32],
    ['32x32', { x: 31, y: 0, width: 1, height: 32 }, 32],
    ['90x70', { x: 0, y: 0, width: 90, height: 70 }, 32],
    ['90x70', { x: 13, y: 8, width: 77, height: 25 }, 32],
    ['90x70', { x: 40, y: 1, width: 33, height: 64 }, 24],
  ] as const) {
    it(`crop ${crop.width}x${crop.height} of ${from} to ${size}x${size}: antialiased bilinear`, () => {
      const [width, height] = from.split('x').map(Number) as [number, number];
      const source = noise(width, height, 3);
      const parameters = { ...base, crop };
      expectClose(view(source, parameters, size), toPlanes(reference(source, parameters, size)));
    });
  }

  it('everything at once: the order is crop, jitter, grayscale, blur, solarize, flip', () => {
    const source = noise(50, 40, 4);
    const parameters: ViewParameters = {
      crop: { x: 4, y: 7, width: 41, height: 30 },
      flip: true,
      colorSteps: [
        { kind: 'hue', factor: -0.07 },
        { kind: 'contrast', factor: 1.3 },
        { kind: 'brightness', factor: 0.8 },
        { kind: 'saturation', factor: 1.25 },
      ],
      grayscale: false,
      blurSigma: 1.1,
      solarize: false,
    };
    for (const grayscale of [false, true]) {
      for (const solarize of [false, true]) {
        const all = { ...parameters, grayscale, solarize };
        expectClose(view(source, all, 32), toPlanes(reference(source, all, 32)));
      }
    }
  });

  it('side 30, not a multiple of the vector length, contrast twice: what fills up the rows does not count', () => {
    const source = noise(30, 30, 5);
    // Less contrast lifts black, and so what fills up the rows.
    const contrast: ColorStep = { kind: 'contrast', factor: 0.6 };
    const colorSteps: ColorStep[] = [contrast, { kind: 'hue', factor: 0.1 }, contrast];
    const parameters = { ...identity(30, 30), colorSteps, blurSigma: 1.5 };
    expectClose(view(source, parameters, 30), toPlanes(reference(source, parameters, 30)));
  });

  it('an image that lies in the memory for pixels: the same views, any number of them', () => {
    const transform = new ImageTransform(32, zeroMean, unitStd);
    const out = new Float32Array(3072);
    for (const [width, height] of [
      [32, 32],
      [300, 200],
      [60, 90],
    ] as const) {
      const source = noise(width, height, 9);
      const data = transform.pixels(width, height);
      data.set(source.data);
      for (const crop of [
        { x: 1, y: 2, width: 20, height: 25 },
        { x: 0, y: 0, width, height },
      ]) {
        const parameters = { ...base, crop, blurSigma: 1 };
        transform.view({ width, height, data }, parameters, out, 0);
        expect(out).to.deep.equal(view(source, parameters, 32));
      }
    }
  });

  it('an image larger and then smaller than before: scratch memory is not mixed up', () => {
    const transform = new ImageTransform(32, zeroMean, unitStd);
    const out = new Float32Array(3072);
    transform.view(noise(200, 100, 6), identity(200, 100), out, 0);
    transform.view(image, { ...base, crop: { x: 2, y: 2, width: 9, height: 9 } }, out, 0);
    expect(out).to.deep.equal(view(image, { ...base, crop: { x: 2, y: 2, width: 9, height: 9 } }, 32));
  });
});

describe('ImageTransform.evaluation', () => {
  function evaluate(image: RawImage, size: number): Float32Array {
    const out = new Float32Array(3 * size * size);
    new ImageTransform(size, zeroMean, unitStd).evaluation(image, out, 0);
    return out;
  }

  it('32x32 for 32: the image itself', () => {
    const image = noise(32, 32, 7);
    expectClose(evaluate(image, 32), toPlanes(toPicture(image)), 1e-7);
  });

  // Offsets as Python's round gives them: 2.5 -> 2, 7.5 -> 8, 3.5 -> 4, 4.5 -> 4.
  for (const [width, height, resized, [x, y]] of [
    [90, 70, [47, 37], [8, 2]],
    [70, 90, [37, 47], [2, 8]],
    [28, 28, [37, 37], [2, 2]],
    [70, 74, [37, 39], [2, 4]],
    [79, 70, [41, 37], [4, 2]],
  ] as const) {
    it(`${width}x${height} for 32: short side to 37, then the centre`, () => {
      const image = noise(width, height, 8);
      const whole = resize(toPicture(image), resized[0], resized[1]);
      expectClose(evaluate(image, 32), toPlanes(cut(whole, x, y, 32, 32)));
    });
  }
});
