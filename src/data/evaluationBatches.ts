import { decodeLanes, forEachConcurrently } from './concurrency.js';
import type { ImageSource } from './source.js';
import { ImageTransform, type ChannelStatistics } from './transform.js';

export interface EvaluationBatchOptions {
  /** S, side of the network input in pixels. */
  readonly imageSize: number;
  readonly mean: ChannelStatistics;
  readonly std: ChannelStatistics;
  readonly batchSize: number;
}

export interface EvaluationBatch {
  /** [count, C, S, S] */
  readonly images: Float32Array;
  /** Index of the first image. */
  readonly start: number;
  /** `batchSize`, less in the last batch. */
  readonly count: number;
}

/** All images of a source in order, without augmentation (`ImageTransform.evaluation`). */
export async function* evaluationBatches(
  source: ImageSource,
  { imageSize, mean, std, batchSize }: EvaluationBatchOptions,
): AsyncGenerator<EvaluationBatch, void, undefined> {
  const transform = new ImageTransform(imageSize, mean, std);
  const inputSize = mean.length * imageSize * imageSize;
  for (let start = 0; start < source.length; start += batchSize) {
    const count = Math.min(batchSize, source.length - start);
    const images = new Float32Array(count * inputSize);
    await forEachConcurrently(count, decodeLanes, async (position) => {
      transform.evaluation(await source.read(start + position), images, position * inputSize);
    });
    yield { images, start, count };
  }
}
