import { z } from 'zod';

const probability = z.number().min(0).max(1);

/** One probability for both views, or [of view 1, of view 2]. */
const viewProbability = z.union([probability, z.tuple([probability, probability])]);

/** A pair [low, high] of numbers that `bound` accepts. */
const range = (bound: z.ZodNumber) =>
  z.tuple([bound, bound]).refine(([low, high]) => low <= high, 'must be [low, high] with low <= high');

/** Augmentation of the views (docs/method.md, recipes). Factors are torchvision's: jitter 0.4 means [0.6, 1.4]. */
export const augmentationSchema = z.strictObject({
  /** Area of the random crop as a share of the image. */
  cropScale: range(z.number().gt(0).max(1)).default([0.2, 1]),
  /** Aspect ratio (width / height) of the random crop. */
  cropRatio: range(z.number().positive()).default([3 / 4, 4 / 3]),
  flip: probability.default(0.5),
  jitter: z
    .strictObject({
      probability: probability.default(0.8),
      brightness: z.number().min(0).max(1).default(0.4),
      contrast: z.number().min(0).max(1).default(0.4),
      saturation: z.number().min(0).max(1).default(0.4),
      hue: z.number().min(0).max(0.5).default(0.1),
    })
    .prefault({}),
  grayscale: probability.default(0.2),
  blur: z
    .strictObject({
      /** MoCo v3 and BYOL: [1, 0.1]. */
      probability: viewProbability.default(0.5),
      /** Standard deviation in pixels, uniform over this range. */
      sigma: range(z.number().positive()).default([0.1, 2]),
    })
    .prefault({}),
  /** Probability of inverting the bright half of the values. MoCo v3 and BYOL: [0, 0.2]. */
  solarize: viewProbability.default(0),
});
export type AugmentationConfig = z.infer<typeof augmentationSchema>;

type Blur = AugmentationConfig['blur'];

/** The settings of one view. */
export interface ViewAugmentation extends Omit<AugmentationConfig, 'blur' | 'solarize'> {
  readonly blur: Omit<Blur, 'probability'> & { readonly probability: number };
  readonly solarize: number;
}

/** What `config` means for view 1 and for view 2. */
export function viewAugmentations(config: AugmentationConfig): readonly [ViewAugmentation, ViewAugmentation] {
  const ofView = (view: 0 | 1): ViewAugmentation => {
    const choose = (value: Blur['probability']) => (typeof value === 'number' ? value : value[view]);
    const blur = { ...config.blur, probability: choose(config.blur.probability) };
    return { ...config, blur, solarize: choose(config.solarize) };
  };
  return [ofView(0), ofView(1)];
}
