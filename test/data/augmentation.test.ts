import { expect } from 'chai';
import type { z } from 'zod';
import { augmentationSchema, viewAugmentations } from '../../src/config/augmentation.js';
import { sampleView, type ViewParameters } from '../../src/data/augmentation.js';
import { Random } from '../../src/random.js';

const parse = (input: z.input<typeof augmentationSchema>) =>
  viewAugmentations(augmentationSchema.parse(input));
const [moco] = parse({});

/** Parameters of `count` views of an image of `width` x `height`. */
function sample(config: typeof moco, width: number, height: number, count: number): ViewParameters[] {
  return Array.from({ length: count }, (_, index) =>
    sampleView(config, width, height, new Random(5, 0, index, 0)),
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('sampleView', () => {
  it('MoCo v2 recipe: each operation occurs as often as configured', () => {
    const views = sample(moco, 32, 32, 20_000);
    const share = (predicate: (view: ViewParameters) => boolean) =>
      mean(views.map((v) => Number(predicate(v))));
    // Three standard deviations of a share of 20000 are at most 0.011.
    expect(share(({ flip }) => flip)).to.be.closeTo(0.5, 0.011);
    expect(share(({ colorSteps }) => colorSteps.length === 4)).to.be.closeTo(0.8, 0.011);
    expect(share(({ colorSteps }) => colorSteps.length === 0)).to.be.closeTo(0.2, 0.011);
    expect(share(({ grayscale }) => grayscale)).to.be.closeTo(0.2, 0.011);
    expect(share(({ blurSigma }) => blurSigma > 0)).to.be.closeTo(0.5, 0.011);
    const sigmas = views.map(({ blurSigma }) => blurSigma).filter((sigma) => sigma > 0);
    expect(mean(sigmas)).to.be.closeTo(1.05, 0.02);
    expect(Math.min(...sigmas)).to.be.within(0.1, 0.11);
    expect(Math.max(...sigmas)).to.be.within(1.99, 2);
  });

  it('jitter: every order is equally likely, factors are uniform over 1 +- strength, hue over +- strength', () => {
    const views = sample(moco, 32, 32, 20_000).filter(({ colorSteps }) => colorSteps.length > 0);
    const orders = new Map<string, number>();
    for (const { colorSteps } of views) {
      const order = colorSteps.map(({ kind }) => kind).join();
      orders.set(order, (orders.get(order) ?? 0) + 1 / views.length);
    }
    expect(orders.size).to.equal(24);
    for (const share of orders.values()) expect(share).to.be.closeTo(1 / 24, 0.006);
    for (const [kind, low, high] of [
      ['brightness', 0.6, 1.4],
      ['contrast', 0.6, 1.4],
      ['saturation', 0.6, 1.4],
      ['hue', -0.1, 0.1],
    ] as const) {
      const factors = views.map(({ colorSteps }) => colorSteps.find((step) => step.kind === kind)!.factor);
      const width = high - low;
      expect(Math.min(...factors), kind).to.be.within(low, low + 0.001 * width);
      expect(Math.max(...factors), kind).to.be.within(high - 0.001 * width, high);
      const variance = mean(factors.map((factor) => (factor - mean(factors)) ** 2));
      expect(mean(factors), kind).to.be.closeTo((low + high) / 2, 0.01 * width);
      expect(Math.sqrt(variance) / width, kind).to.be.closeTo(1 / Math.sqrt(12), 0.005);
    }
  });

  it('jitter of strength 0 in one property: that step is left out, the others stay', () => {
    const [config] = parse({ jitter: { probability: 1, hue: 0 } });
    for (const { colorSteps } of sample(config, 32, 32, 50)) {
      expect(colorSteps.map(({ kind }) => kind).sort()).to.deep.equal([
        'brightness',
        'contrast',
        'saturation',
      ]);
    }
  });

  it('crop of 400 x 300: inside the image, area and aspect ratio in range, positions over the whole image', () => {
    const crops = sample(moco, 400, 300, 5000).map(({ crop }) => crop);
    for (const { x, y, width, height } of crops) {
      expect(x).to.be.within(0, 400 - width);
      expect(y).to.be.within(0, 300 - height);
      expect((width * height) / (400 * 300)).to.be.within(0.198, 1);
      expect(width / height).to.be.within(0.74, 1.345);
    }
    expect(Math.min(...crops.map(({ x }) => x))).to.equal(0);
    expect(Math.max(...crops.map(({ x, width }) => x + width))).to.equal(400);
    expect(Math.min(...crops.map(({ y }) => y))).to.equal(0);
    expect(Math.max(...crops.map(({ y, height }) => y + height))).to.equal(300);
    // A crop of share a fits when its ratio is at least 4a/3, so the density of a is proportional to
    // min(1, -ln a / (2 ln 4/3)) on [0.2, 1]; its mean, by integration, is 0.494.
    expect(mean(crops.map(({ width, height }) => (width * height) / 120_000))).to.be.closeTo(0.494, 0.008);
  });

  it('scale 1 and ratio 1 of a square: the whole image', () => {
    const [config] = parse({ cropScale: [1, 1], cropRatio: [1, 1] });
    expect(sample(config, 32, 32, 1)[0]!.crop).to.deep.equal({ x: 0, y: 0, width: 32, height: 32 });
  });

  it('an image too wide or too tall for any try: the largest centre crop of an allowed ratio', () => {
    const [config] = parse({ cropScale: [0.9, 1] });
    expect(sample(config, 1000, 30, 1)[0]!.crop).to.deep.equal({ x: 480, y: 0, width: 40, height: 30 });
    expect(sample(config, 30, 1000, 1)[0]!.crop).to.deep.equal({ x: 0, y: 480, width: 30, height: 40 });
    expect(sample(config, 1, 1, 1)[0]!.crop).to.deep.equal({ x: 0, y: 0, width: 1, height: 1 });
  });

  it('MoCo v3: view 1 is always blurred, view 2 seldom blurred and sometimes solarized', () => {
    const [first, second] = parse({ blur: { probability: [1, 0.1] }, solarize: [0, 0.2] }).map((config) =>
      sample(config, 32, 32, 20_000),
    );
    expect(first!.every(({ blurSigma, solarize }) => blurSigma > 0 && !solarize)).to.be.true;
    expect(mean(second!.map(({ blurSigma }) => Number(blurSigma > 0)))).to.be.closeTo(0.1, 0.007);
    expect(mean(second!.map(({ solarize }) => Number(solarize)))).to.be.closeTo(0.2, 0.009);
  });

  it('solarize takes no draw from the other operations: a seed means the same views without it', () => {
    const [without] = parse({});
    const [solarizing] = parse({ solarize: 1 });
    const views = sample(solarizing, 400, 300, 200);
    expect(views.every(({ solarize }) => solarize)).to.be.true;
    expect(views.map((view) => ({ ...view, solarize: false }))).to.deep.equal(sample(without, 400, 300, 200));
  });
});

describe('viewAugmentations', () => {
  it('one number counts for both views, a pair for one view each, everything else stays', () => {
    const input = { flip: 0.1, blur: { probability: [1, 0.1], sigma: [0.5, 1] }, solarize: 0.2 } as const;
    const config = augmentationSchema.parse(input);
    const [first, second] = viewAugmentations(config);
    expect(first).to.deep.equal({ ...config, blur: { probability: 1, sigma: [0.5, 1] }, solarize: 0.2 });
    expect(second).to.deep.equal({ ...config, blur: { probability: 0.1, sigma: [0.5, 1] }, solarize: 0.2 });
  });
});
