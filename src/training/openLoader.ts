import { viewAugmentations } from '../config/augmentation.js';
import { viewSize, type Config } from '../config/schema.js';
import { ViewLoader } from '../data/loader.js';
import type { ImageSource } from '../data/source.js';

export interface OpenLoaderOptions {
  /** The images of the config, where they are open already. */
  readonly source?: ImageSource;
  readonly cacheDirectory?: string;
}

/** The views that a config trains on. */
export function openLoader(config: Config, options: OpenLoaderOptions = {}): Promise<ViewLoader> {
  const { accumulation, augmentation, batchSize, data, seed } = config;
  return ViewLoader.open({
    source: data.source,
    limit: data.limit,
    seed,
    batchSize,
    imageSize: viewSize(config),
    mean: data.mean,
    std: data.std,
    augmentations: viewAugmentations(augmentation),
    workers: data.workers,
    prefetch: Math.max(data.workers, accumulation),
    ...options,
  });
}
