import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { defaultCacheDirectory } from '../data/cacheDirectory.js';
import { sha256 } from '../onnx/hash.js';
import { replaceFile } from '../replaceFile.js';
import { parseAs } from './targetRecord.js';

/** What was measured, by parts of what was asked: an answer for each question. */
type Table<T> = { readonly [P in keyof T]: Readonly<Record<string, unknown>> };

/** Measurements of one kind in the cache: a file for each key, which says what they are valid for. */
export interface TuningFiles<K, T> {
  readonly none: T;
  /** What was measured for a key before. A file that is torn, or not of this key, counts as none. */
  readonly read: (directory: string, key: K) => Promise<T>;
  /** Keeps measurements; those of other questions stay. */
  readonly write: (directory: string, key: K, choices: T) => Promise<void>;
}

export function tuningFiles<S extends z.ZodRawShape, T extends Table<T>>(kind: {
  readonly format: string;
  readonly version: number;
  /** What the names of its files start with. */
  readonly prefix: string;
  readonly key: z.ZodObject<S>;
  readonly choices: z.ZodType<T>;
  readonly none: T;
}): TuningFiles<z.infer<z.ZodObject<S>>, T> {
  type Key = z.infer<z.ZodObject<S>>;
  const { format, version, none } = kind;
  const schema = z.strictObject({
    format: z.literal(format),
    version: z.literal(version),
    key: kind.key,
    choices: kind.choices,
  });
  const words = (key: unknown) =>
    JSON.stringify(Object.keys(kind.key.shape).map((name) => (key as Record<string, unknown>)[name]));
  const pathOf = (directory: string, key: Key) =>
    join(directory, 'tuning', `${kind.prefix}${sha256(Buffer.from(words(key))).slice(0, 16)}.json`);

  async function read(directory: string, key: Key): Promise<T> {
    const content = parseAs(schema, await readFile(pathOf(directory, key), 'utf8').catch(() => ''));
    return content && words(content.key) === words(key) ? content.choices : none;
  }
  async function write(directory: string, key: Key, choices: T): Promise<void> {
    const known = await read(directory, key);
    const parts = Object.keys(none) as (keyof T & string)[];
    const merged = Object.fromEntries(parts.map((part) => [part, { ...known[part], ...choices[part] }]));
    const content = { format, version, key, choices: merged };
    await replaceFile(pathOf(directory, key), `${JSON.stringify(content, null, 2)}\n`);
  }
  return { none, read, write };
}

/**
 * The choices that programs ask for: those in the cache where they cover all that is asked, or else measured, and kept.
 * Without a folder to keep them in, measurements are made and used all the same. `ask`: what the programs ask, answered by
 * what is known.
 */
export async function cachedChoices<K, T extends Table<T>, A extends { readonly choices: T }>(
  { none, read, write }: TuningFiles<K, T>,
  key: K,
  {
    cacheDirectory,
    onNotice,
    ask,
    measure,
  }: {
    readonly cacheDirectory: string | undefined;
    readonly onNotice: ((message: string) => void) | undefined;
    readonly ask: (known: T) => A;
    readonly measure: (asked: A, known: T) => Promise<T>;
  },
): Promise<T> {
  const inCache = async <R>(use: (directory: string) => Promise<R>) =>
    use(cacheDirectory ?? defaultCacheDirectory());
  const known = await inCache((directory) => read(directory, key)).catch(() => none);
  const asked = ask(known);
  if (covers(known, asked.choices)) return asked.choices;
  const tuned = ask(await measure(asked, known)).choices;
  await inCache((directory) => write(directory, key, tuned)).catch((error: Error) =>
    onNotice?.(`measurements are not kept for the next run: ${error.message}`),
  );
  return tuned;
}

/** Whether every answer was measured before. */
function covers<T extends Table<T>>(known: T, asked: T): boolean {
  return (Object.keys(asked) as (keyof T)[]).every((part) =>
    Object.keys(asked[part]).every((question) => question in known[part]),
  );
}
