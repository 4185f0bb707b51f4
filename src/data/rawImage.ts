/** What images are decoded to. */
export interface PixelFormat {
  /** 1: grey. 3: RGB. Others: as many bands, of files that have just as many. */
  readonly channels: number;
  /** Bits that a sample keeps at most. */
  readonly depth: 8 | 16;
}

/** What images are decoded to where nothing else is said. */
export const rgb8: PixelFormat = { channels: 3, depth: 8 };

/** A decoded image. */
export interface RawImage {
  readonly width: number;
  readonly height: number;
  /** C: 1 for grey, 3 for RGB, else bands in the order of the file. */
  readonly channels: number;
  /** [H, W, C], 0 .. 255 or, of 16 bits, 0 .. 65535; may be shared with other threads, not to be written to. */
  readonly data: Uint8Array | Uint16Array;
}

/** The largest value of a sample: white. */
export function fullScale({ data }: Pick<RawImage, 'data'>): number {
  return data.BYTES_PER_ELEMENT === 1 ? 255 : 65_535;
}

/** Whether images are seen as a person does, so that grey and RGB can stand for each other. */
export function isColour({ channels }: Pick<PixelFormat, 'channels'>): boolean {
  return channels === 1 || channels === 3;
}

/** An image of grey or RGB as the other of the two: grey is repeated, of RGB the luma taken. */
export function asColour(image: RawImage, channels: number): RawImage {
  if (image.channels === channels) return image;
  return { ...image, channels, data: channels === 1 ? luma(image.data) : repeated(image.data) };
}

function repeated(grey: RawImage['data']): RawImage['data'] {
  const rgb = emptyLike(grey, 3 * grey.length);
  for (let i = 0; i < grey.length; i++) rgb.fill(grey[i]!, 3 * i, 3 * i + 3);
  return rgb;
}

/** Of ITU-R BT.601 in integers, to the bit Pillow's conversion to `L`; a grey pixel keeps its value. */
function luma(rgb: RawImage['data']): RawImage['data'] {
  const grey = emptyLike(rgb, rgb.length / 3);
  for (let i = 0, at = 0; i < grey.length; i++, at += 3) {
    // Of 16 bits beyond the integers of shifts.
    grey[i] = Math.floor((19_595 * rgb[at]! + 38_470 * rgb[at + 1]! + 7471 * rgb[at + 2]! + 32_768) / 65_536);
  }
  return grey;
}

function emptyLike(samples: RawImage['data'], length: number): RawImage['data'] {
  return samples.BYTES_PER_ELEMENT === 1 ? new Uint8Array(length) : new Uint16Array(length);
}
