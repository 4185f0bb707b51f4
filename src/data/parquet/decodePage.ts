import { parquetHeader, readPage } from 'hyparquet/src/column.js';
import { convert, DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import type { CompressionCodec, Compressors, SchemaElement, SchemaTree } from 'hyparquet';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { decompressZstd } from '../zstd.js';

/** What the pages of a column are decoded by. Survives structured cloning. */
export interface ParquetColumn {
  readonly codec: CompressionCodec;
  /** From the root to the column. */
  readonly schemaPath: readonly { readonly element: SchemaElement }[];
}

/** The values of a page of bytes, one a row; null for a row without. */
export interface DecodedPage {
  readonly values: readonly (Uint8Array | null)[];
  /** What Snappy made them of, if so: where it lies in the page, and what came out. */
  readonly snappy: { readonly start: number; readonly end: number; readonly output: Uint8Array } | null;
}

/** Codecs that Node.js decompresses, beside those that hyparquet does; to the bytes that a page says, no more. */
export const compressors: Compressors = {
  GZIP: (input, length) => gunzipSync(input, atMost(length)),
  BROTLI: (input, length) => brotliDecompressSync(input, atMost(length)),
  ...(decompressZstd && { ZSTD: decompressZstd }),
};

function atMost(bytes: number): { readonly maxOutputLength: number } {
  return { maxOutputLength: Math.max(1, bytes) };
}

/** What Snappy makes of a byte at most: copies of 64 bytes take three. */
const mostOfSnappy = 64 / 3;

/** Codecs of which pages can be read. */
export const codecs: readonly string[] = ['UNCOMPRESSED', 'SNAPPY', ...Object.keys(compressors)];

/** The same for a message, with what another Node.js reads. */
export const acceptedCodecs = `${codecs.join(', ')}${decompressZstd ? '' : ', and with Node.js 22.15 ZSTD'}`;

/**
 * Decodes a page, with its header, of a column of bytes; `dictionary`: the values of the chunk's dictionary page. Throws
 * hyparquet's Error for a page that is damaged.
 */
export function decodePage(
  { codec, schemaPath }: ParquetColumn,
  page: Buffer,
  uncompress: (input: Uint8Array, output: Uint8Array) => void,
  dictionary?: DecodedPage,
): DecodedPage {
  const reader = { view: new DataView(page.buffer, page.byteOffset, page.length), offset: 0 };
  let snappy: DecodedPage['snappy'] = null;
  const { element } = schemaPath.at(-1)!;
  const column = {
    codec,
    element,
    type: element.type!,
    pathInSchema: schemaPath.slice(1).map(({ element: { name } }) => name),
    schemaPath: schemaPath.map((part): SchemaTree => ({ ...part, children: [], count: 1, path: [] })),
    parsers: DEFAULT_PARSERS,
    utf8: false,
    compressors: {
      ...compressors,
      SNAPPY: (input: Uint8Array, length: number) => {
        if (length > mostOfSnappy * input.length)
          throw new Error(`says that ${input.length} bytes make ${length}`);
        const output = new Uint8Array(length);
        uncompress(input, output);
        const start = input.byteOffset - page.byteOffset;
        snappy = { start, end: start + input.length, output };
        return output;
      },
    },
  };
  const header = parquetHeader(reader);
  const known = dictionary?.values as Uint8Array[] | undefined;
  const { data } = readPage(reader, header, column, known, undefined, 0);
  const values = header.type === 'DICTIONARY_PAGE' ? convert(data!, column) : data!;
  return { values: Array.from(values as ArrayLike<unknown>, (value) => bytesOf(value)), snappy };
}

/** In a struct that may be missing the value stands in a list. */
function bytesOf(value: unknown): Uint8Array | null {
  if (value === undefined || value === null) return null;
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value) && value.length <= 1) return bytesOf(value[0]);
  throw new Error('the column is none of bytes');
}
