import {
  parquetMetadataAsync,
  parquetReadObjects,
  type AsyncBuffer,
  type FileMetaData,
  type PageHeader,
} from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { stat } from 'node:fs/promises';
import { readFilePart, versionOf, type FileVersion } from '../shards/openFiles.js';
import { acceptedCodecs, codecs, compressors, type ParquetColumn } from './decodePage.js';
import { decodedPage, type ImagePage, type Part } from './pageLayout.js';
import { imageColumns } from './parquetColumns.js';

/** A Parquet file of images that was opened once. */
export interface ParquetFile {
  readonly version: FileVersion;
  readonly column: ParquetColumn;
  /** With the rows of each. */
  readonly pages: readonly (ImagePage & { readonly rows: number })[];
  readonly rows: number;
  /** Rows without an image. */
  readonly missing: readonly number[];
  /** Class of each row, null for none; null where there is no such column. */
  readonly labels: readonly (string | null)[] | null;
  /** Names of the classes, that of 0 first, where the file says so. */
  readonly classes: readonly string[] | null;
}

/** Bytes that a page's header is looked for in: it may hold the least and the greatest value. */
const headerBytes = [2 ** 9, 2 ** 14, 2 ** 20];

/**
 * Finds the pages of a file's images and reads their classes. Rejects with an Error that says, without the path, why it cannot be used.
 */
export async function openParquetFile(path: string, signal?: AbortSignal): Promise<ParquetFile> {
  const status = await stat(path, { bigint: true });
  const version = { path, version: versionOf(status) };
  const file: AsyncBuffer = {
    byteLength: Number(status.size),
    async slice(start, end = Number(status.size)) {
      // In memory of its own.
      return (await readFilePart(version, start, end - start)).buffer as ArrayBuffer;
    },
  };
  if (file.byteLength < 12) throw new Error('is no Parquet file');
  const metadata = await parquetMetadataAsync(file);
  const { image, label } = imageColumns(metadata);
  if (image === null) throw new Error(`has no column of images: ${columnsOf(metadata)}`);
  const names = image.slice(1).map(({ element }) => element.name);
  const rows = Number(metadata.num_rows);
  let column: ParquetColumn | null = null;
  const pages: (ImagePage & { rows: number })[] = [];
  const missing: number[] = [];
  let firstRow = 0;
  for (const group of metadata.row_groups) {
    signal?.throwIfAborted();
    const chunk = group.columns.find(
      ({ meta_data }) => meta_data?.path_in_schema.join('\0') === names.join('\0'),
    );
    const facts = chunk?.meta_data;
    if (!facts) throw new Error(`has no column ${names.join('.')} in all of its row groups`);
    const { codec } = facts;
    if (!codecs.includes(codec)) throw new Error(`is compressed by ${codec}; accepted: ${acceptedCodecs}`);
    column ??= { codec, schemaPath: image };
    const own: ParquetColumn = codec === column.codec ? column : { codec, schemaPath: image };
    if (own !== column)
      throw new Error(`is compressed by ${column.codec} and ${codec}; accepted: one of them`);
    const found = await pagesOf(file, version, own, facts);
    // Where nothing is said of rows without an image they are looked for.
    const mayMiss = facts.statistics?.null_count !== 0n;
    for (const page of found) {
      if (mayMiss) {
        const { values } = await decodedPage(page);
        for (const [i, value] of values.entries()) if (value === null) missing.push(firstRow + i);
      }
      firstRow += page.rows;
    }
    pages.push(...found);
  }
  if (firstRow !== rows) throw new Error(`has ${firstRow} values of ${names.join('.')} in ${rows} rows`);
  column ??= { codec: 'UNCOMPRESSED', schemaPath: image };
  const labels = label && (await labelsOf(file, metadata, label));
  return { version, column, pages, rows, missing, labels, classes: label?.classes ?? null };
}

type ColumnFacts = NonNullable<FileMetaData['row_groups'][number]['columns'][number]['meta_data']>;

async function pagesOf(
  file: AsyncBuffer,
  version: FileVersion,
  column: ParquetColumn,
  { data_page_offset, dictionary_page_offset, total_compressed_size }: ColumnFacts,
): Promise<(ImagePage & { rows: number })[]> {
  const pages: (ImagePage & { rows: number })[] = [];
  let dictionary: Part | null = null;
  // Some writers leave the dictionary's place out, or say 0.
  let offset = Number(dictionary_page_offset ? dictionary_page_offset : data_page_offset);
  const end = Math.min(offset + Number(total_compressed_size), file.byteLength);
  while (offset < end) {
    const { header, length } = await headerAt(file, offset, end);
    const part = { offset, bytes: length + header.compressed_page_size };
    if (part.offset + part.bytes > end) throw new Error('has a page that goes beyond its column');
    if (header.type === 'DICTIONARY_PAGE') dictionary = part;
    const facts = header.data_page_header ?? header.data_page_header_v2;
    if (facts) {
      const own = facts.encoding.endsWith('_DICTIONARY') ? dictionary : null;
      pages.push({ file: version, column, data: part, dictionary: own, rows: facts.num_values });
    }
    offset += part.bytes;
  }
  return pages;
}

async function headerAt(
  file: AsyncBuffer,
  offset: number,
  end: number,
): Promise<{ header: PageHeader; length: number }> {
  for (const bytes of headerBytes) {
    const reader = { view: new DataView(await file.slice(offset, Math.min(offset + bytes, end))), offset: 0 };
    try {
      return { header: parquetHeader(reader), length: reader.offset };
    } catch (error) {
      // It ends beyond.
      if (offset + bytes >= end || bytes === headerBytes.at(-1)) throw error;
    }
  }
  throw new Error('has a page without a header');
}

async function labelsOf(
  file: AsyncBuffer,
  metadata: FileMetaData,
  { name, classes }: { readonly name: string; readonly classes: readonly string[] | null },
): Promise<(string | null)[]> {
  const rows = await parquetReadObjects({ file, metadata, columns: [name], compressors });
  return rows.map((row) => {
    const value: unknown = row[name];
    if (typeof value === 'string') return value;
    if (typeof value === 'boolean') return String(value);
    if (typeof value !== 'bigint' && typeof value !== 'number') return null;
    if (classes === null) return String(value);
    // Test images without a label have -1.
    if (value < 0) return null;
    const known = classes[Number(value)];
    if (known !== undefined) return known;
    throw new Error(`has class ${value} in ${name}, which has names for ${classes.length}`);
  });
}

function columnsOf({ schema }: FileMetaData): string {
  const [root, ...elements] = schema;
  const names: string[] = [];
  for (let i = 0; names.length < (root!.num_children ?? 0); i += 1 + descendants(elements, i)) {
    names.push(elements[i]!.name);
  }
  return names.join(', ');
}

function descendants(elements: FileMetaData['schema'], index: number): number {
  let count = 0;
  for (let i = 0; i < (elements[index]!.num_children ?? 0); i++)
    count += 1 + descendants(elements, index + 1 + count);
  return count;
}
