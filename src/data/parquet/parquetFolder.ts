import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { UsageError } from '../../errors.js';
import { imageExtensions } from '../folderListing.js';

/** Whether a path is that of a Parquet file, by its extension. */
export function namesParquet(path: string): boolean {
  return ['.parquet', '.pq'].includes(extname(path).toLowerCase());
}

/** What names of files of a split begin with, as `datasets` of Hugging Face looks for them. */
const splits = {
  train: 'train',
  test: 'test',
  validation: 'validation',
  valid: 'validation',
  val: 'validation',
  dev: 'validation',
} as const;

/**
 * The Parquet files that lie in a folder, sorted; null where there are none, or images beside them.
 * @throws UsageError for files of several splits.
 */
export async function parquetFiles(folder: string): Promise<string[] | null> {
  const entries = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.'));
  const files = entries.filter(namesParquet).sort();
  if (files.length === 0 || entries.some((name) => imageExtensions.includes(extname(name).toLowerCase()))) {
    return null;
  }
  const found = new Set(files.map(splitOf));
  if (found.size > 1) {
    const names = [...found].map((split) => split ?? 'none').join(', ');
    throw new UsageError(
      `${folder} holds Parquet files of several splits (${names}); accepted: those of one, such as ${join(folder, 'train-*.parquet')}`,
    );
  }
  return files.map((name) => join(folder, name));
}

function splitOf(name: string): string | null {
  const [, prefix] = /^([a-z]+)(?:[-_.]|$)/.exec(name) ?? [];
  return prefix !== undefined && Object.hasOwn(splits, prefix) ? splits[prefix as keyof typeof splits] : null;
}
