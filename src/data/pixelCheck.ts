import { decodeLanes, forEachConcurrently } from './concurrency.js';
import { headerOf } from './imageDecoder.js';
import { encodedFile } from './imageStore.js';
import { fullScale, type RawImage } from './rawImage.js';
import type { ImageSource } from './source.js';

/** What an image without contrast looks like. */
export type Blank = 'black' | 'white' | 'of one colour';

/** Images that are decoded, evenly spaced over the source. */
const sampledImages = 24;
/** Images whose values differ by less, but for the brightest and the darkest 0.5 %, are blank. */
const contrast = 16;
const outliers = 0.005;
/** Of 255: images of 16 bits of which 8 are kept and whose largest value is below it use at most 14 of them. */
const dark = 64;

/**
 * Whether the pixels of some of the images look like images, in lines for a person: a format that was scaled wrongly
 * decodes, trains and says nothing. Named data sets are not looked at.
 */
export async function pixelNotices(source: ImageSource, signal?: AbortSignal): Promise<string[]> {
  const { store } = source;
  if (!isLookedAt(source)) return [];
  const count = Math.min(sampledImages, source.length);
  const check = new PixelCheck();
  await forEachConcurrently(count, decodeLanes, async (i) => {
    signal?.throwIfAborted();
    const index = Math.floor((i * source.length) / count);
    // A damaged file, which another one stands in for, is told elsewhere.
    const bits = await encodedFile(store, index)
      .then((file) => headerOf(file, store.pixels))
      .then(
        (header) => header.bits,
        () => 8,
      );
    check.add(await source.read(index), bits);
  });
  return check.notices(source.name);
}

/** Whether what is wrong with the pixels is not known to be nothing, as it is of a named data set. */
export function isLookedAt({ store }: ImageSource): boolean {
  return store.images.kind !== 'dataset';
}

/** Collects what `pixelNotices` tells. */
export class PixelCheck {
  #images = 0;
  readonly #blank = new Map<Blank, number>();
  #deep = 0;
  #deepest = 0;

  /** @param bits of a sample in the file */
  add(image: RawImage, bits: number): void {
    this.#images++;
    const blank = blankOf(image);
    if (blank) this.#blank.set(blank, (this.#blank.get(blank) ?? 0) + 1);
    if (bits !== 16 || fullScale(image) !== 255) return;
    this.#deep++;
    for (const value of image.data) if (value > this.#deepest) this.#deepest = value;
  }

  /** Lines about the images of a source, when most of them are blank or use few of their bits. */
  notices(name: string): string[] {
    const lines: string[] = [];
    if (this.#deep > 0 && 2 * this.#deep >= this.#images && this.#deepest < dark) {
      const bits = Math.ceil(Math.log2(256 * (this.#deepest + 1)));
      lines.push(
        `${name}: images of 16 bits use at most ${bits} of them, and are nearly black when 65535 is white; ` +
          'scale their values to the whole range first, or keep them with data.depth 16',
      );
    }
    const blank = [...this.#blank.values()].reduce((a, b) => a + b, 0);
    if (this.#images > 0 && 2 * blank >= this.#images) {
      // Images arrive in any order, as their decoding ends: equal counts are ordered by name.
      const kinds = [...this.#blank]
        .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
        .map(([kind, n]) => `${n} nearly ${kind}`);
      const share = Math.round((100 * blank) / this.#images);
      lines.push(
        `${name}: ${blank} of ${this.#images} images that were looked at, ${share} %, are nearly constant ` +
          `(${kinds.join(', ')}); there is little to learn from them`,
      );
    }
    return lines;
  }
}

/** Null for an image with contrast in any channel. */
export function blankOf(image: RawImage): Blank | null {
  const full = fullScale(image);
  const channels = Array.from({ length: image.channels }, (_, channel) => rangeOf(image, channel));
  if (channels.some(({ low, high }) => high - low >= contrast)) return null;
  if (channels.every(({ high }) => high < contrast)) return 'black';
  if (channels.every(({ low }) => low > full - contrast)) return 'white';
  return 'of one colour';
}

/** The values of a channel between which all but the outliers lie. */
function rangeOf(image: RawImage, channel: number): { readonly low: number; readonly high: number } {
  const { channels, data } = image;
  const full = fullScale(image);
  const histogram = new Uint32Array(full + 1);
  for (let i = channel; i < data.length; i += channels) histogram[data[i]!]!++;
  const most = (outliers * data.length) / channels;
  let low = 0;
  for (let seen = histogram[0]!; seen <= most; seen += histogram[++low]!);
  let high = full;
  for (let seen = histogram[full]!; seen <= most; seen += histogram[--high]!);
  return { low, high };
}
