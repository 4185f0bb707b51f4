import type { ViewAugmentation } from '../config/augmentation.js';
import type { Random } from '../random.js';

/** A rectangle of source pixels. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** One step of colour jitter. `factor` of hue is a shift in turns, of the others a multiplier. */
export interface ColorStep {
  readonly kind: 'brightness' | 'contrast' | 'saturation' | 'hue';
  readonly factor: number;
}

/** Everything random about one view. */
export interface ViewParameters {
  readonly crop: Rectangle;
  readonly flip: boolean;
  /** In order of application. */
  readonly colorSteps: readonly ColorStep[];
  readonly grayscale: boolean;
  /** Standard deviation of the Gaussian blur in output pixels; 0 for none. */
  readonly blurSigma: number;
  readonly solarize: boolean;
}

/**
 * Draw one view of an image of `width` x `height`: MoCo's recipe (docs/method.md) with the distributions of
 * torchvision's RandomResizedCrop, ColorJitter, RandomGrayscale, GaussianBlur, RandomSolarize and
 * RandomHorizontalFlip.
 */
export function sampleView(
  config: ViewAugmentation,
  width: number,
  height: number,
  random: Random,
): ViewParameters {
  return {
    crop: sampleCrop(config, width, height, random),
    colorSteps: random.uniform() < config.jitter.probability ? sampleJitter(config.jitter, random) : [],
    grayscale: random.uniform() < config.grayscale,
    blurSigma: random.uniform() < config.blur.probability ? random.uniform(...config.blur.sigma) : 0,
    flip: random.uniform() < config.flip,
    // Drawn last, since the order of the draws is part of what a seed means.
    solarize: random.uniform() < config.solarize,
  };
}

/** Ten tries at a crop of random area and log-uniform aspect ratio, then the largest allowed centre crop. */
function sampleCrop(
  { cropScale, cropRatio }: ViewAugmentation,
  width: number,
  height: number,
  random: Random,
): Rectangle {
  const [narrowest, widest] = cropRatio;
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = width * height * random.uniform(...cropScale);
    const ratio = Math.exp(random.uniform(Math.log(narrowest), Math.log(widest)));
    const cropWidth = Math.round(Math.sqrt(area * ratio));
    const cropHeight = Math.round(Math.sqrt(area / ratio));
    if (cropWidth < 1 || cropWidth > width || cropHeight < 1 || cropHeight > height) continue;
    const y = random.integer(height - cropHeight + 1);
    const x = random.integer(width - cropWidth + 1);
    return { x, y, width: cropWidth, height: cropHeight };
  }
  const ratio = Math.min(Math.max(width / height, narrowest), widest);
  const cropWidth = Math.min(width, Math.round(height * ratio));
  const cropHeight = Math.min(height, Math.round(width / ratio));
  return {
    x: Math.floor((width - cropWidth) / 2),
    y: Math.floor((height - cropHeight) / 2),
    width: cropWidth,
    height: cropHeight,
  };
}

/** Brightness, contrast, saturation and hue in random order; those of strength 0 are left out. */
function sampleJitter(jitter: ViewAugmentation['jitter'], random: Random): ColorStep[] {
  const steps: ColorStep[] = [];
  for (const index of random.permutation(4)) {
    const kind = colorKinds[index]!;
    const strength = jitter[kind];
    if (strength === 0) continue;
    const neutral = kind === 'hue' ? 0 : 1;
    steps.push({ kind, factor: random.uniform(neutral - strength, neutral + strength) });
  }
  return steps;
}

const colorKinds = ['brightness', 'contrast', 'saturation', 'hue'] as const;
