import { reasonOf, SlimclrError } from '../errors.js';
import { encodedBytes, encodedName, knownPixels, type EncodedImages } from './encodedImages.js';
import { decodeAtOnce, decodeFile, decodeLater, headerOf } from './imageDecoder.js';
import { asColour, type PixelFormat, type RawImage } from './rawImage.js';

export type { RawImage } from './rawImage.js';

export interface SkippedFile {
  /** Relative to where the images come from. */
  readonly path: string;
  readonly reason: string;
}

/** Some of N images, in an order, and their classes. Survives structured cloning, so that worker threads read the same ones. */
export interface ImageStore {
  readonly images: EncodedImages;
  /** Image i of the store is image `selection[i]` of `images`; on shared memory. */
  readonly selection: Uint32Array;
  /** Class of each image of the store; on shared memory. */
  readonly labels: Int32Array | null;
  /** What they are decoded to. */
  readonly pixels: PixelFormat;
}

/** Memory for the pixels of an image, [H, W, 3]. */
export type PixelMemory = (width: number, height: number) => Uint8Array;

export interface ReadOptions {
  /** Told of a file that cannot be decoded; another one stands in. */
  readonly onUnreadable: (file: SkippedFile) => void;
  /** Where a decoder may write; new memory if absent. */
  readonly memory?: PixelMemory;
}

/** What a person finds image `index` of a store by: its path, or its number in a data set. */
export function imageName({ images, selection }: ImageStore, index: number): string {
  return encodedName(images, selection[index]!);
}

/** Read image `index` of a store. Where it is damaged, another one of its class stands in. */
export function readImage(store: ImageStore, index: number, options: ReadOptions): Promise<RawImage> {
  return useImage(store, index, options, (image) => image);
}

/**
 * Read image `index` of a store and call `use` with it before anything else can claim `options.memory`. One that fails is
 * reported to `onUnreadable` and replaced by the next of the same class (cyclically), so one bad file does not end a long
 * run and the result is the same every time.
 * @throws SlimclrError when no image of the class can be decoded.
 */
export async function useImage<T>(
  store: ImageStore,
  index: number,
  { onUnreadable, memory }: ReadOptions,
  use: (image: RawImage) => T,
): Promise<T> {
  const { images, selection, labels, pixels } = store;
  let lastError: unknown;
  for (let offset = 0; offset < selection.length; offset++) {
    const candidate = (index + offset) % selection.length;
    if (labels && labels[candidate] !== labels[index]) continue;
    let image = pixelsOf(store, candidate);
    if (!image) {
      try {
        const file = await encodedBytes(images, selection[candidate]!);
        image = decodeAtOnce(file, pixels, memory) ?? (await decodeLater(file, pixels));
      } catch (error) {
        lastError = error;
        onUnreadable({ path: encodedName(images, selection[candidate]!), reason: reasonOf(error) });
        continue;
      }
    }
    // Nothing may be awaited since decoding: another file could be decoded into the same memory meanwhile.
    return use(image);
  }
  const name = encodedName(images, selection[index]!);
  throw new SlimclrError(`no image in ${images.root} can stand in for ${name}: ${reasonOf(lastError)}`, {
    cause: lastError,
  });
}

/** Read image `index` of a store and no other in its place; rejects with the reason when it cannot be decoded. */
export async function readItself(store: ImageStore, index: number): Promise<RawImage> {
  return pixelsOf(store, index) ?? decodeFile(await encodedFile(store, index), store.pixels);
}

/** The same, and how many bits a sample has in the file. */
export async function readWithBits(
  store: ImageStore,
  index: number,
): Promise<{ readonly image: RawImage; readonly bits: number }> {
  const known = pixelsOf(store, index);
  if (known) return { image: known, bits: 8 };
  const file = await encodedFile(store, index);
  const { bits } = await headerOf(file, store.pixels);
  return { image: await decodeFile(file, store.pixels), bits };
}

/** The file of image `index` of a store as it is; rejects with the reason when it cannot be read. */
export function encodedFile({ images, selection }: ImageStore, index: number): Promise<Buffer> {
  return encodedBytes(images, selection[index]!);
}

/** Of an image that needs no decoder; null for others. */
function pixelsOf({ images, selection, pixels: { channels } }: ImageStore, index: number): RawImage | null {
  const image = knownPixels(images, selection[index]!);
  return image && asColour(image, channels);
}
