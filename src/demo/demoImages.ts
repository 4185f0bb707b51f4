import sharp from 'sharp';
import { pixelFormat, type Config } from '../config/schema.js';
import { datasetNames } from '../data/dataset.js';
import { shownImage } from '../data/shownImage.js';
import {
  openSource,
  select,
  subset,
  type ImageSource,
  type RawImage,
  type SourceOptions,
} from '../data/source.js';
import { openRunImages } from '../evaluation/runImages.js';
import { firstOfEachClass } from '../report/neighbours.js';

/** Images of a demo. */
export interface DemoImages {
  /** Among which neighbours are found. */
  readonly bank: ImageSource;
  /** To try it with: none of the bank. */
  readonly samples: ImageSource;
}

/** Samples at most, and pixels of their longest side. */
const [sampleCount, sampleSide] = [10, 512];

/**
 * At most `limit` images of a run, or of another source, chosen by the run's seed; samples of the first classes, of the
 * test images of a named data set, else of those that the run holds out, else of the images that are left over.
 */
export async function openDemoImages(
  config: Config,
  other: string | undefined,
  limit: number,
  options: Pick<SourceOptions, 'cacheDirectory' | 'signal' | 'onProgress'>,
): Promise<DemoImages> {
  const { data, seed } = config;
  const name = other ?? data.source;
  const instead = 'other images (--source)';
  const ofRun = other === undefined ? data.limit : 0;
  const all = await openRunImages(
    config,
    { ...options, limit: ofRun, ...(other !== undefined && { source: other }) },
    instead,
  );
  const chosen = select(all.length, limit, seed);
  const bank = subset(all, chosen);
  if (datasetNames.includes(name)) {
    const test = await openSource(name, { ...options, split: 'test', pixels: pixelFormat(config) });
    return { bank, samples: subset(test, firstOnes(test)) };
  }
  if (all.heldOut) return { bank, samples: subset(all.heldOut, firstOnes(all.heldOut)) };
  const taken = new Set(chosen);
  const left = Uint32Array.from({ length: all.length }, (_, index) => index).filter(
    (index) => !taken.has(index),
  );
  const rest = subset(all, left);
  return { bank, samples: subset(rest, firstOnes(rest)) };
}

function firstOnes({ labels, length }: ImageSource): Uint32Array {
  const first = labels
    ? firstOfEachClass(labels, sampleCount)
    : [...Array(Math.min(length, sampleCount)).keys()];
  return Uint32Array.from(first);
}

/** An image as PNG, of `sampleSide` pixels at most, so that a page gets the pixels that it is made of. */
export function encodeSample(image: RawImage): Promise<Buffer> {
  const { width, height, data } = shownImage(image);
  return sharp(data, { raw: { width, height, channels: 3 } })
    .resize({ width: sampleSide, height: sampleSide, fit: 'inside', withoutEnlargement: true })
    .png()
    .toBuffer();
}
