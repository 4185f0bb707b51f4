import type { EncodedKind } from '../encodedImages.js';
import { intervalOf } from '../intervals.js';
import { stringAt, type PackedStrings } from '../packedStrings.js';
import type { ParquetColumn } from './decodePage.js';

/** Rows of Parquet files, those of one file after those of the other. */
export interface ParquetImages {
  readonly kind: 'parquet';
  /** The folder that the files are in. */
  readonly root: string;
  /** Paths of the files. */
  readonly paths: PackedStrings;
  /** `versionOf` each file when it was opened. */
  readonly versions: PackedStrings;
  /** Their paths relative to `root` with forward slashes. */
  readonly files: PackedStrings;
  /** Of each file. */
  readonly columns: readonly ParquetColumn[];
  /** [files + 1], the first row of each file, and N. */
  readonly firsts: Uint32Array;
  /** [pages + 1], the first row of each page, and N. */
  readonly rows: Uint32Array;
  /** [pages, 4], of each page where it begins in its file, its bytes, and those of its dictionary's page, or 0, 0. */
  readonly pages: Float64Array;
}

export const parquetImages: EncodedKind<ParquetImages> = {
  count: ({ rows }) => rows.at(-1)!,
  name: ({ files, firsts }, index) => {
    const file = intervalOf(firsts, index);
    return `${stringAt(files, file)}/${index - firsts[file]!}`;
  },
  bytes: async ({ paths, versions, columns, firsts, rows, pages }, index) => {
    // The reader of Parquet is loaded where there is some.
    const { readPageImage } = await import('./pageLayout.js');
    const file = intervalOf(firsts, index);
    const page = intervalOf(rows, index);
    const [offset, bytes, dictionaryOffset, dictionaryBytes] = pages.subarray(4 * page, 4 * page + 4);
    return readPageImage(
      {
        file: { path: stringAt(paths, file), version: stringAt(versions, file) },
        column: columns[file]!,
        data: { offset: offset!, bytes: bytes! },
        dictionary: dictionaryBytes === 0 ? null : { offset: dictionaryOffset!, bytes: dictionaryBytes! },
      },
      index - rows[page]!,
    );
  },
};
