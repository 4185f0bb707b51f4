import { expect } from 'chai';
import type { ColorStep, ViewParameters } from '../../src/data/augmentation.js';
import type { RawImage } from '../../src/data/source.js';
import { axisFilter } from '../../src/data/axisFilter.js';
import { ImageTransform } from '../../src/data/transform.js';
import { Random } from '../../src/random.js';

// The reference in this file: images are [row][column] of [r, g, b] in 0..1, operations as torchvision
// defines them, written for the eye.
type Pixel = [number, number, number];
type Picture = Pixel[][];

const zeroMean = [0, 0, 0] as const;
const unitStd = [1, 1, 1] as const;

/** The first words of tests of 8 bits and of 16, which other code renders. */
const depths = { 'of 8 bits': Uint8Array, 'of 16 bits': Uint16Array } as const;
type Samples = (typeof depths)[keyof typeof depths];

function noise(width: number, height: number, seed: number, Kind: Samples = Uint8Array): RawImage {
  const random = new Random(seed);
  const levels = 256 ** Kind.BYTES_PER_ELEMENT;
  const data = new Kind(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = random.integer(levels);
  return { width, height, channels: 3, data };
}

function toPicture({ width, height, data }: RawImage): Picture {
  const white = 256 ** data.BYTES_PER_ELEMENT - 1;
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x): Pixel => {
      const i = (y * width + x) * 3;
      return [data[i]! / white, data[i + 1]! / white, data[i + 2]! / white];
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

for (const [name, samples] of Object.entries(depths))
  describe(`ImageTransform.view ${name}`, () => {
    const image = noise(32, 32, 1, samples);
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
      expectClose(
        view({ width: 2, height: 2, channels: 3, data }, parameters, 2),
        [...greys, ...greys, ...greys],
        1e-7,
      );
    });

    it('grayscale: three equal planes of the luma', () => {
      const parameters = { ...base, grayscale: true };
      expectClose(view(image, parameters, 32), toPlanes(reference(image, parameters, 32)));
    });

    it('solarize of every byte: 0 to 127 as they are, from 128 on inverted', () => {
      const data = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => Math.floor(i / 3));
      const plane = Array.from({ length: 256 }, (_, byte) => (byte < 128 ? byte : 255 - byte) / 255);
      const actual = view(
        { width: 16, height: 16, channels: 3, data },
        { ...identity(16, 16), solarize: true },
        16,
      );
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
      const small = noise(3, 3, 2, samples);
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
        const source = noise(width, height, 3, samples);
        const parameters = { ...base, crop };
        expectClose(view(source, parameters, size), toPlanes(reference(source, parameters, size)));
      });
    }

    it('everything at once: the order is crop, jitter, grayscale, blur, solarize, flip', () => {
      const source = noise(50, 40, 4, samples);
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
      const source = noise(30, 30, 5, samples);
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
          transform.view({ width, height, channels: 3, data }, parameters, out, 0);
          expect(out).to.deep.equal(view(source, parameters, 32));
        }
      }
    });

    it('an image larger and then smaller than before: scratch memory is not mixed up', () => {
      const transform = new ImageTransform(32, zeroMean, unitStd);
      const out = new Float32Array(3072);
      transform.view(noise(200, 100, 6, samples), identity(200, 100), out, 0);
      transform.view(image, { ...base, crop: { x: 2, y: 2, width: 9, height: 9 } }, out, 0);
      expect(out).to.deep.equal(view(image, { ...base, crop: { x: 2, y: 2, width: 9, height: 9 } }, 32));
    });
  });

describe('axisFilter', () => {
  it('every length to every other one up to 80: taps that there is room for, weights that add up to 1', () => {
    for (let length = 1; length <= 80; length++) {
      for (let resized = 1; resized <= 80; resized++) {
        const { first, taps, weights, stride } = axisFilter(0, length, resized);
        for (let i = 0; i < resized; i++) {
          const label = `${length} to ${resized}, output ${i}`;
          if (taps[i]! > stride || first[i]! + taps[i]! > length) expect.fail(label);
          let sum = 0;
          for (let k = 0; k < taps[i]!; k++) sum += weights[i * stride + k]!;
          if (Math.abs(sum - 1) > 1e-12) expect.fail(`${label}: ${sum}`);
        }
      }
    }
  });
});

for (const [name, samples] of Object.entries(depths))
  describe(`ImageTransform.evaluation ${name}`, () => {
    function evaluate(image: RawImage, size: number): Float32Array {
      const out = new Float32Array(3 * size * size);
      new ImageTransform(size, zeroMean, unitStd).evaluation(image, out, 0);
      return out;
    }

    it('32x32 for 32: the image itself', () => {
      const image = noise(32, 32, 7, samples);
      expectClose(evaluate(image, 32), toPlanes(toPicture(image)), 1e-7);
    });

    // Offsets as Python's round gives them: 2.5 -> 2, 7.5 -> 8, 3.5 -> 4, 4.5 -> 4.
    for (const [width, height, resized, [x, y]] of [
      [90, 70, [47, 37], [8, 2]],
      [70, 90, [37, 47], [2, 8]],
      [28, 28, [37, 37], [2, 2]],
      [70, 74, [37, 39], [2, 4]],
      [79, 70, [41, 37], [4, 2]],
      // Row 19 has its centre on that of row 15, but for rounding.
      [29, 31, [37, 39], [2, 4]],
    ] as const) {
      it(`${width}x${height} for 32: short side to 37, then the centre`, () => {
        const image = noise(width, height, 8, samples);
        const whole = resize(toPicture(image), resized[0], resized[1]);
        expectClose(evaluate(image, 32), toPlanes(cut(whole, x, y, 32, 32)));
      });
    }
  });

describe('ImageTransform of other channels', () => {
  const random = new Random(11);
  const [width, height, channels] = [23, 19, 5];
  const data = Uint16Array.from({ length: width * height * channels }, () => random.integer(65_536));
  const image: RawImage = { width, height, channels, data };
  const [zeros, ones] = [new Array<number>(channels).fill(0), new Array<number>(channels).fill(1)];
  const viewOf = (parameters: ViewParameters, size: number) => {
    const out = new Float32Array(channels * size * size);
    new ImageTransform(size, zeros, ones).view(image, parameters, out, 0);
    return out;
  };
  /** One of the channels, three times: what the reference renders. */
  const single = (channel: number): RawImage => ({
    width,
    height,
    channels: 3,
    data: Uint16Array.from(
      { length: 3 * width * height },
      (_, i) => data[Math.floor(i / 3) * channels + channel]!,
    ),
  });

  it('crop, flip, blur and solarize: each channel as an image of its own', () => {
    const crop = { x: 2, y: 1, width: 17, height: 13 };
    const parameters = { ...identity(width, height), crop, flip: true, blurSigma: 0.8, solarize: true };
    const expected = [0, 1, 2, 3, 4].flatMap((channel) =>
      toPlanes(reference(single(channel), parameters, 11)).slice(0, 121),
    );
    expectClose(viewOf(parameters, 11), expected);
  });

  it('brightness and contrast: of each channel about its own mean, cut to 0 .. 1', () => {
    const same = [0, 1, 2, 3, 4].map((channel) =>
      toPlanes(reference(single(channel), identity(width, height), 9)).slice(0, 81),
    );
    const step = (kind: ColorStep['kind'], factor: number): ViewParameters => ({
      ...identity(width, height),
      colorSteps: [{ kind, factor }],
    });
    expectClose(
      viewOf(step('brightness', 1.4), 9),
      same.flat().map((value) => clamp(1.4 * value)),
    );
    const contrasted = same.flatMap((plane) => {
      const mean = plane.reduce((a, b) => a + b) / plane.length;
      return plane.map((value) => blend(value, mean, 1.3));
    });
    expectClose(viewOf(step('contrast', 1.3), 9), contrasted);
  });

  it('mean and std of each channel; flat images of every level tell their neighbours apart', () => {
    const [mean, std] = [
      [0.1, 0.9],
      [0.02, 3],
    ] as const;
    const transform = new ImageTransform(4, mean, std);
    const out = new Float32Array(2 * 16);
    for (const level of [0, 1, 2, 300, 12_345, 12_346, 32_768, 65_534, 65_535]) {
      const flat = Uint16Array.from({ length: 2 * 9 * 7 }, (_, i) => (i % 2 === 0 ? level : 65_535 - level));
      transform.evaluation({ width: 9, height: 7, channels: 2, data: flat }, out, 0);
      const expected = [(level / 65_535 - mean[0]) / std[0], ((65_535 - level) / 65_535 - mean[1]) / std[1]];
      for (const [i, value] of out.entries()) {
        // float32 of what float64 gives.
        expect(value).to.be.closeTo(
          expected[Math.floor(i / 16)]!,
          4e-7 * Math.abs(expected[Math.floor(i / 16)]!) + 1e-9,
        );
      }
    }
  });

  it('grey of 8 bits: a third of what RGB of equal channels gives', () => {
    const grey = Uint8Array.from({ length: 900 }, () => random.integer(256));
    const rgb = Uint8Array.from({ length: 2700 }, (_, i) => grey[Math.floor(i / 3)]!);
    const parameters = { ...identity(30, 30), crop: { x: 3, y: 4, width: 20, height: 21 }, blurSigma: 1.5 };
    const [one, three] = [new Float32Array(256), new Float32Array(768)];
    new ImageTransform(16, [0.4], [0.2]).view(
      { width: 30, height: 30, channels: 1, data: grey },
      parameters,
      one,
      0,
    );
    const transform = new ImageTransform(16, [0.4, 0.4, 0.4], [0.2, 0.2, 0.2]);
    transform.view({ width: 30, height: 30, channels: 3, data: rgb }, parameters, three, 0);
    expectClose(three, [...one, ...one, ...one], 1e-5);
  });
});
