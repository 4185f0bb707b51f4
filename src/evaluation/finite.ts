import type { ImageSource } from '../data/source.js';
import { SlimclrError } from '../errors.js';

/** What a row of numbers, one row an image, was computed with. */
export interface Origin {
  readonly width: number;
  readonly source: Pick<ImageSource, 'name' | 'nameOf' | 'store'>;
}

/**
 * Rows `[n, columns]` of images, all finite. Comparisons with NaN are false, so that every ranking would take NaN for
 * a right answer. Throws a SlimclrError that names the number, the width and the image of the first that is not.
 * `what` are the numbers, such as `features`; `imageOf` gives the image of a row, the row itself unless given.
 */
export function requireFiniteRows(
  rows: ArrayLike<number>,
  columns: number,
  what: string,
  origin: Origin | undefined,
  imageOf = (row: number) => row,
): void {
  for (let i = 0; i < rows.length; i++) {
    if (Number.isFinite(rows[i])) continue;
    const ofWidth = origin ? ` of width ${origin.width}` : '';
    const image = imageName(origin?.source, imageOf(Math.floor(i / columns)));
    throw new SlimclrError(`the ${what}${ofWidth} for ${image} are not finite (${rows[i]})`);
  }
}

/** The file of an image, or its index in a data set. */
export function imageName(source: Origin['source'] | undefined, index: number): string {
  if (!source) return `image ${index}`;
  const { name, store } = source;
  const image = source.nameOf(index);
  return store.images.kind === 'dataset' ? `image ${image} of ${name}` : `${image} of ${name}`;
}
