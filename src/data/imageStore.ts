import { useFolderImage } from './imageFolder.js';
import type { PackedImages } from './packedImages.js';

export interface RawImage {
  readonly width: number;
  readonly height: number;
  /** RGB, [H, W, 3]; may be shared with other threads, not to be written to. */
  readonly data: Uint8Array;
}

export interface SkippedFile {
  /** Relative to the folder. */
  readonly path: string;
  readonly reason: string;
}

/** Where images come from. Survives structured cloning, so that worker threads read the same ones. */
export type ImageStore =
  | {
      readonly kind: 'packed';
      readonly images: PackedImages;
      /** Image i of the store is image `selection[i]` of `images`. */
      readonly selection: Uint32Array;
    }
  | {
      readonly kind: 'folder';
      readonly root: string;
      readonly files: readonly string[];
      readonly labels: Int32Array | null;
    };

/** Memory for the pixels of an image, [H, W, 3]. */
export type PixelMemory = (width: number, height: number) => Uint8Array;

export interface ReadOptions {
  /** Told of a file that cannot be decoded; another one stands in. */
  readonly onUnreadable: (file: SkippedFile) => void;
  /** Where a decoder may write; new memory if absent. */
  readonly memory?: PixelMemory;
}

/** Read image `index` of a store. */
export function readImage(store: ImageStore, index: number, options: ReadOptions): Promise<RawImage> {
  return useImage(store, index, options, (image) => image);
}

/** Read image `index` of a store and call `use` before anything else can claim `options.memory`. */
export async function useImage<T>(
  store: ImageStore,
  index: number,
  options: ReadOptions,
  use: (image: RawImage) => T,
): Promise<T> {
  if (store.kind === 'folder') return useFolderImage(store, index, options, use);
  const { width, height, channels, pixels } = store.images;
  const size = width * height * channels;
  const start = store.selection[index]! * size;
  const data = pixels.subarray(start, start + size);
  return use({ width, height, data: channels === 3 ? data : repeatChannel(data) });
}

function repeatChannel(grey: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(grey.length * 3);
  for (let i = 0; i < grey.length; i++) rgb.fill(grey[i]!, 3 * i, 3 * i + 3);
  return rgb;
}
