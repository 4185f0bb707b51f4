import sharp from 'sharp';
import { shownImage } from '../data/shownImage.js';
import type { RawImage } from '../data/source.js';

/** Longest side of a square, in pixels, and squares of a row. */
const [largest, columns] = [64, 32];

/** One picture of many images: each is cut to a square around its centre. */
export class ContactSheet {
  readonly columns = columns;
  readonly #pixels: Buffer;

  constructor(
    private readonly count: number,
    readonly side: number,
  ) {
    this.#pixels = Buffer.alloc(3 * columns * side * Math.ceil(count / columns) * side, 255);
  }

  /** For images that an encoder takes at a size. */
  static of(count: number, imageSize: number): ContactSheet {
    return new ContactSheet(count, Math.min(largest, imageSize));
  }

  async put(position: number, image: RawImage): Promise<void> {
    const { width, height, data } = shownImage(image);
    const { side } = this;
    const square = await sharp(data, { raw: { width, height, channels: 3 } })
      .resize({ width: side, height: side, fit: 'cover' })
      .raw()
      .toBuffer();
    const row = 3 * side;
    const at = (Math.floor(position / columns) * side * columns + (position % columns)) * row;
    for (let y = 0; y < side; y++) square.copy(this.#pixels, at + y * columns * row, y * row, (y + 1) * row);
  }

  /** JPEG of the rows that `count` images take. */
  encode(count = this.count): Promise<Buffer> {
    const height = Math.ceil(count / columns) * this.side;
    const width = columns * this.side;
    return sharp(this.#pixels.subarray(0, 3 * width * height), { raw: { width, height, channels: 3 } })
      .jpeg({ quality: 85, chromaSubsampling: '4:4:4' })
      .toBuffer();
  }
}
