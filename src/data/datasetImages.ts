import sharp from 'sharp';
import type { EncodedKind } from './encodedImages.js';
import type { PackedImages } from './packedImages.js';
import type { RawImage } from './rawImage.js';

/** A split of a data set, whose pixels are in memory; as files its images are PNG. */
export interface DatasetImages {
  readonly kind: 'dataset';
  /** The name of the data set. */
  readonly root: string;
  readonly packed: PackedImages;
}

export const datasetImages: EncodedKind<DatasetImages> = {
  count: ({ packed }) => packed.labels.length,
  name: (_, index) => String(index),
  bytes: (images, index) => {
    const { data, ...raw } = pixelsAt(images, index);
    const image = sharp(data, { raw: raw as { width: number; height: number; channels: 1 | 3 } });
    return image
      .toColourspace(raw.channels === 1 ? 'b-w' : 'srgb')
      .png()
      .toBuffer();
  },
  pixels: pixelsAt,
};

function pixelsAt({ packed }: DatasetImages, index: number): RawImage {
  const { width, height, channels, pixels } = packed;
  const size = width * height * channels;
  return { width, height, channels, data: pixels.subarray(index * size, (index + 1) * size) };
}
