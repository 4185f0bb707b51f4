import { SlimclrError } from '../errors.js';
import type { Pixels } from './modelInput.js';

/**
 * What a browser draws and has pixels: a canvas, an image element, an ImageBitmap, a video element (its frame of now), a
 * VideoFrame. In the terms that they share: the DOM's own types would be visible to whoever uses the package in Node.
 */
export type Drawable =
  | { readonly width: number; readonly height: number }
  | { readonly displayWidth: number; readonly displayHeight: number };

/** An image: drawable, a File or Blob of a format that the browser decodes, or decoded. */
export type Picture = Drawable | Blob | Pixels;

interface Context2d {
  fillStyle: string;
  fillRect(x: number, y: number, width: number, height: number): void;
  drawImage(image: Drawable, x: number, y: number, width: number, height: number): void;
  getImageData(x: number, y: number, width: number, height: number): Pixels;
}

/** The parts of the browser in use; absent in Node. */
declare const OffscreenCanvas: new (
  width: number,
  height: number,
) => { getContext(kind: '2d', options: object): Context2d | null };
declare function createImageBitmap(file: Blob): Promise<Drawable & { close(): void }>;

/**
 * The pixels of an image at its own size, as it is meant to be seen: turned as a camera's file says, transparency over
 * white. Nothing is resized here: the filters of browsers are not those of the encoder's training.
 */
export async function pixelsOf(picture: Picture): Promise<Pixels> {
  if ('data' in picture) return picture;
  if (!(picture instanceof Blob)) return draw(picture);
  const bitmap = await createImageBitmap(picture).catch((cause: unknown) => {
    const name = 'name' in picture ? `${String(picture.name)} ` : '';
    const type = picture.type || 'of an unknown type';
    throw new SlimclrError(`the file ${name}(${type}) is no image that this browser decodes`, { cause });
  });
  try {
    return draw(bitmap);
  } finally {
    bitmap.close();
  }
}

function draw(image: Drawable): Pixels {
  const { width, height } = sizeOf(image);
  if (!(width > 0 && height > 0)) {
    throw new SlimclrError(`an image of ${width} x ${height} pixels; accepted: one that has been loaded`);
  }
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  context.fillStyle = 'white';
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** In its own pixels: the width and height of elements are those of the page. */
function sizeOf(image: Drawable): { width: number; height: number } {
  const size = image as Partial<Record<string, number>>;
  const side = (...names: string[]) => names.map((name) => size[name]).find((value) => value !== undefined);
  return {
    width: side('naturalWidth', 'videoWidth', 'displayWidth', 'width') ?? NaN,
    height: side('naturalHeight', 'videoHeight', 'displayHeight', 'height') ?? NaN,
  };
}
