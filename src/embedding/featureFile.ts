import { open, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { extname } from 'node:path';
import { UsageError } from '../errors.js';
import { bytesOf } from '../onnx/model.js';
import { npyHeader } from '../onnx/npy.js';
import { replaceFile } from '../replaceFile.js';
import { version } from '../version.js';
import type { EmbeddedImages } from './embedImages.js';

/** Extensions of the files that features can be written into. */
export const featureFormats = ['.parquet', '.npy', '.csv'] as const;
type FeatureFormat = (typeof featureFormats)[number];

/** Throws a UsageError for a file of another extension. */
export function featureFormat(path: string): FeatureFormat {
  const extension = extname(path).toLowerCase();
  const format = featureFormats.find((name) => name === extension);
  if (format) return format;
  throw new UsageError(`${path}: features are written into files ending in ${featureFormats.join(', ')}`);
}

/** The file beside a `.npy` that says which image each row is of. */
export function namesFile(path: string): string {
  return `${path.slice(0, -extname(path).length)}.names.csv`;
}

/**
 * Writes features, whole or not at all, as the extension says: `.parquet` with the columns `file`, `class` where images
 * have one, `features`, a list; `.csv` with `file`, `class`, `f0`, `f1`, ...; `.npy` `[n, C]`, with `namesFile` beside it.
 * float32 everywhere, in `.csv` in as many digits as it takes. Returns the files.
 */
export async function writeFeatures(path: string, images: EmbeddedImages): Promise<string[]> {
  switch (featureFormat(path)) {
    case '.parquet':
      await replaceFile(path, (partial) => writeParquet(partial, images));
      return [path];
    case '.csv':
      await replaceFile(path, (partial) => writeCsv(partial, images, images.channels));
      return [path];
    case '.npy': {
      const names = namesFile(path);
      // Old names beside new features would be wrong ones.
      await rm(names, { force: true });
      await replaceFile(path, (partial) => writeArray(partial, images));
      await replaceFile(names, (partial) => writeCsv(partial, images, 0));
      return [path, names];
    }
  }
}

async function writeArray(path: string, { names, channels, features }: EmbeddedImages): Promise<void> {
  await writeFile(path, npyHeader('float32', [names.length, channels]));
  await writeFile(path, bytesOf(features), { flag: 'a' });
}

/** Rows that are worded at a time. */
const csvRows = 1000;

async function writeCsv(
  path: string,
  { names, classes, ...images }: EmbeddedImages,
  columns: number,
): Promise<void> {
  const { channels, features } = images;
  const line = (cells: readonly string[]) => `${cells.join(',')}\n`;
  const head = ['file', ...(classes ? ['class'] : []), ...Array.from({ length: columns }, (_, c) => `f${c}`)];
  await withFile(path, async (file) => {
    await file.write(line(head));
    for (let start = 0; start < names.length; start += csvRows) {
      const lines = names.slice(start, start + csvRows).map((name, i) => {
        const at = (start + i) * channels;
        const values = Array.from(features.subarray(at, at + columns), shortest);
        return line([cell(name), ...(classes ? [cell(classes[start + i]!)] : []), ...values]);
      });
      await file.write(lines.join(''));
    }
  });
}

async function withFile(path: string, use: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'w');
  await use(file).finally(() => file.close());
}

/** RFC 4180. */
function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A float32 in the fewest digits that give it back. */
function shortest(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(Number(value.toPrecision(9)));
}

/** Values of features of one row group, about; it is in memory as a list of numbers. */
const groupValues = 2 ** 20;

async function writeParquet(
  path: string,
  { names, classes, channels, features }: EmbeddedImages,
): Promise<void> {
  const { fileWriter, ParquetWriter } = await import('hyparquet-writer');
  const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' } as const;
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: [
      { name: 'root', num_children: classes ? 3 : 2 },
      { name: 'file', ...text },
      ...(classes ? [{ name: 'class', ...text }] : []),
      { name: 'features', repetition_type: 'REQUIRED', num_children: 1, converted_type: 'LIST' },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' },
    ],
    createdBy: `slimclr ${version}`,
  });
  const rows = Math.max(1, Math.floor(groupValues / channels));
  for (let start = 0; start < names.length; start += rows) {
    const end = Math.min(names.length, start + rows);
    const vectors = Array.from({ length: end - start }, (_, i) =>
      Array.from(features.subarray((start + i) * channels, (start + i + 1) * channels)),
    );
    await writer.write({
      columnData: [
        { name: 'file', data: names.slice(start, end) },
        ...(classes ? [{ name: 'class', data: classes.slice(start, end) }] : []),
        { name: 'features', data: vectors, encoding: 'PLAIN', codec: 'UNCOMPRESSED' },
      ],
      rowGroupSize: rows,
    });
  }
  await writer.finish();
}
