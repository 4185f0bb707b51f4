import { openSource, type SkippedFile, type SourceOptions } from '../data/source.js';
import type { Notices } from '../keep.js';
import { embedImages, type EmbedWatch } from './embedImages.js';
import { featureFormat, writeFeatures } from './featureFile.js';
import { openImageEncoder, type EncoderOptions } from './imageEncoder.js';

export interface EmbedOptions
  extends
    EncoderOptions,
    EmbedWatch,
    Notices,
    Pick<SourceOptions, 'split' | 'limit' | 'seed' | 'cacheDirectory'> {
  /** The file to write: `.parquet`, `.npy` or `.csv`. */
  readonly output: string;
}

export interface EmbedResult {
  /** Rows. */
  readonly images: number;
  /** Length of a feature vector. */
  readonly channels: number;
  /** Of the encoder; null where the model does not say. */
  readonly width: number | null;
  /** What was written. */
  readonly files: readonly string[];
  /** Files that cannot be read; no row is theirs. */
  readonly skipped: readonly SkippedFile[];
}

/**
 * Features of the images of a folder or a data set, by the encoder of a run or an exported model (`.onnx`), into a file
 * (`writeFeatures`), image by image in the order of their paths. Throws a UsageError for what is no such file, model or
 * source.
 */
export async function embed(
  modelOrRun: string,
  source: string,
  { output, width, checkpoint, onProgress, onNotice, signal, ...options }: EmbedOptions,
): Promise<EmbedResult> {
  featureFormat(output);
  const watch = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  const encoder = await openImageEncoder(modelOrRun, {
    ...(width !== undefined && { width }),
    ...(checkpoint !== undefined && { checkpoint }),
  });
  try {
    const images = await openSource(source, { ...options, ...watch, pixels: encoder.pixels });
    for (const line of images.notices) onNotice?.(line);
    const embedded = await embedImages(images, encoder, watch);
    const { names, channels, skipped } = embedded;
    onProgress?.(`writing ${output}`);
    const files = await writeFeatures(output, embedded);
    return { images: names.length, channels, width: encoder.width, files, skipped };
  } finally {
    await encoder.close();
  }
}
