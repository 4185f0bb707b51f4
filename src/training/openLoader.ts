import { viewAugmentations } from '../config/augmentation.js';
import { shufflesKeys } from '../config/methods.js';
import { viewSize, type Config } from '../config/schema.js';
import { ViewLoader } from '../data/loader.js';
import type { ImageSource } from '../data/source.js';
import { openTrainingImages } from '../data/trainingImages.js';

export interface OpenLoaderOptions {
  /** The images of the config, where they are open already. */
  readonly source?: ImageSource;
  readonly cacheDirectory?: string;
  /** The replica whose part of each step is asked for; default: all of it. */
  readonly share?: { readonly rank: number; readonly size: number };
}

/** The views that a config trains on. */
export async function openLoader(config: Config, options: OpenLoaderOptions = {}): Promise<ViewLoader> {
  const { accumulation, augmentation, batchSize, data, method, runtime, seed } = config;
  const { cacheDirectory, share = { rank: 0, size: 1 } } = options;
  const cache = { ...(cacheDirectory !== undefined && { cacheDirectory }) };
  const source = options.source ?? (await openTrainingImages(config, cache));
  return new ViewLoader(source, {
    seed,
    batchSize,
    accumulation,
    shuffled: shufflesKeys(method, runtime.replicas),
    imageSize: viewSize(config),
    mean: data.mean,
    std: data.std,
    augmentations: viewAugmentations(augmentation),
    workers: data.workers,
    prefetch: Math.max(data.workers, accumulation / share.size),
    share,
  });
}
