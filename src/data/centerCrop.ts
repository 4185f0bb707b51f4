/** Where evaluation cuts a square out of an image, in pixels. */
export interface CenterCrop {
  /** What the whole image is resized to first. */
  readonly resized: { readonly width: number; readonly height: number };
  /** Of the square, in the resized image. */
  readonly left: number;
  readonly top: number;
}

/**
 * The centre of an image for a network input of `size`, to the pixel that of torchvision's
 * `Resize(round(size * 256 / 224))` and `CenterCrop(size)`: the long side is rounded down, a half offset to even. An
 * image of `size x size` is not resized.
 */
export function centerCrop(
  width: number,
  height: number,
  size: number,
  resize = shortSide(size),
): CenterCrop {
  const short = width === size && height === size ? size : resize;
  const resizedTo = (length: number) => Math.floor((short * length) / Math.min(width, height));
  const resized = { width: resizedTo(width), height: resizedTo(height) };
  const offset = (length: number) => roundHalfEven((length - size) / 2);
  return { resized, left: offset(resized.width), top: offset(resized.height) };
}

/** What evaluation resizes the short side of an image to, for a network input of `size`. */
export function shortSide(size: number): number {
  return Math.round((size * 256) / 224);
}

/** To the nearest integer, of two equally near ones the even one, as Python's `round`. */
function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}
