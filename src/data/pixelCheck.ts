import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeLanes, forEachConcurrently } from './concurrency.js';
import { headerOf } from './imageDecoder.js';
import type { RawImage } from './imageStore.js';
import type { ImageSource } from './source.js';

/** What an image without contrast looks like. */
export type Blank = 'black' | 'white' | 'of one colour';

/** Images that are decoded, evenly spaced over the source. */
const sampledImages = 24;
/** Of 255: images whose values differ by less, but for the brightest and the darkest 0.5 %, are blank. */
const contrast = 16;
const outliers = 0.005;
/** Of 255: images of 16 bits whose largest value is below it use at most 14 of them. */
const dark = 64;

/**
 * Whether the pixels of some of the images look like images, in lines for a person: a format that was scaled wrongly
 * decodes, trains and says nothing. Only folders are looked at.
 */
export async function pixelNotices(source: ImageSource, signal?: AbortSignal): Promise<string[]> {
  const { store } = source;
  if (store.kind !== 'folder') return [];
  const count = Math.min(sampledImages, source.length);
  const check = new PixelCheck();
  await forEachConcurrently(count, decodeLanes, async (i) => {
    signal?.throwIfAborted();
    const index = Math.floor((i * source.length) / count);
    const path = join(store.root, store.files[index]!);
    // A damaged file, which another one stands in for, is told elsewhere.
    const bits = await readFile(path)
      .then(headerOf)
      .then(
        (header) => header.bits,
        () => 8,
      );
    check.add(await source.read(index), bits);
  });
  return check.notices(source.name);
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
    if (bits !== 16) return;
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
          'scale their values to the whole range first',
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
export function blankOf({ data }: RawImage): Blank | null {
  const channels = [0, 1, 2].map((channel) => rangeOf(data, channel));
  if (channels.some(({ low, high }) => high - low >= contrast)) return null;
  if (channels.every(({ high }) => high < contrast)) return 'black';
  if (channels.every(({ low }) => low > 255 - contrast)) return 'white';
  return 'of one colour';
}

/** The values of a channel between which all but the outliers lie. */
function rangeOf(data: Uint8Array, channel: number): { readonly low: number; readonly high: number } {
  const histogram = new Uint32Array(256);
  for (let i = channel; i < data.length; i += 3) histogram[data[i]!]!++;
  const most = (outliers * data.length) / 3;
  let low = 0;
  for (let seen = histogram[0]!; seen <= most; seen += histogram[++low]!);
  let high = 255;
  for (let seen = histogram[255]!; seen <= most; seen += histogram[--high]!);
  return { low, high };
}
