import { viewAugmentations } from '../config/augmentation.js';
import { viewSize, type Config } from '../config/schema.js';
import { ViewLoader } from '../data/loader.js';
import { openTrainingImages } from '../data/trainingImages.js';
import { needsOf } from '../methods/index.js';
import type { ReportOptions } from './options.js';
import { denormalized, thumbnail } from './thumbnail.js';

/** A training image and the views of it that training sees in its first epoch, as data URIs. */
export interface AugmentedImage {
  readonly image: string;
  readonly views: readonly string[];
}

/**
 * The first images of the first epoch with their views, as the loader of training renders them. Throws a
 * SlimclrError when the images cannot be opened.
 */
export async function augmentedViews(
  config: Config,
  count: number,
  options: ReportOptions = {},
): Promise<AugmentedImage[]> {
  const { augmentation, data, seed } = config;
  const { mean, std } = data;
  const size = viewSize(config);
  const source = await openTrainingImages(config, { ...options, offline: true });
  // Views depend on neither the batch size nor the workers.
  const loader = new ViewLoader(source, {
    seed,
    batchSize: Math.min(count, source.length),
    imageSize: size,
    mean,
    std,
    augmentations: viewAugmentations(augmentation),
    workers: 1,
    prefetch: 0,
  });
  try {
    const { indices, views } = await loader.batch(0, 0);
    const seen = views.slice(0, needsOf(config).views);
    const viewOf = (batch: Float32Array, position: number) => {
      const input = batch.subarray(position * data.channels * size * size);
      return thumbnail(denormalized(input, size, mean, std));
    };
    const images = Array.from(indices, async (index, position) => ({
      image: await thumbnail(await source.read(index)),
      views: await Promise.all(seen.map((batch) => viewOf(batch, position))),
    }));
    return await Promise.all(images);
  } finally {
    await loader.close();
  }
}
