import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { counted } from '../../counted.js';
import { reasonOf, UsageError } from '../../errors.js';
import { isAbsent } from '../../plainFile.js';
import type { ShardIndex } from './shardIndex.js';

/** The file beside shards that names the classes: a JSON array, the name of class 0 first. */
export const classesFile = 'classes.json';

/** What `classes.json` in a folder says; null when there is none. Throws a UsageError when it says something else. */
export async function classNames(folder: string): Promise<string[] | null> {
  const path = join(folder, classesFile);
  try {
    const names = z.array(z.string()).parse(JSON.parse(await readFile(path, 'utf8')));
    if (new Set(names).size === names.length) return names;
  } catch (cause) {
    if (isAbsent(cause)) return null;
    if (!(cause instanceof SyntaxError || cause instanceof z.ZodError)) {
      throw new UsageError(`${path} cannot be read (${reasonOf(cause)})`, { cause });
    }
  }
  throw new UsageError(
    `${path} names no classes; accepted: a JSON array of names, each once, that of class 0 first`,
  );
}

/** Classes of the images of shards. */
export interface ShardLabels {
  readonly labels: Int32Array | null;
  readonly classes: readonly string[] | null;
  /** What a person should know of them, if so. */
  readonly notice: string | null;
}

/**
 * Numbers are indices into `names`; without names, and where classes are texts, they are put in order. There are labels
 * where an image has a class; those without one have -1.
 * @throws UsageError for a class that is not among the names.
 */
export function shardLabels(shards: readonly ShardIndex[], names: readonly string[] | null): ShardLabels {
  const count = shards.reduce((sum, { labels }) => sum + labels.length, 0);
  const texts = new Set<string>();
  let missing = 0;
  for (const { labels, labelNames } of shards) {
    const used = new Set<number>();
    for (const label of labels) {
      if (label < 0) missing++;
      else used.add(label);
    }
    for (const label of used) texts.add(labelNames[label]!);
  }
  if (missing === count) return { labels: null, classes: null, notice: null };
  const { classes, indexOf } = classesOf(texts, names);
  const all = new Int32Array(count);
  let at = 0;
  for (const { labels, labelNames } of shards) {
    const indices = labelNames.map((text) => (texts.has(text) ? indexOf(text) : -1));
    for (const label of labels) all[at++] = label < 0 ? -1 : indices[label]!;
  }
  const notice = missing === 0 ? null : `${missing} of ${counted(count, 'image')} without a class`;
  return { labels: all, classes, notice };
}

function classesOf(
  texts: ReadonlySet<string>,
  names: readonly string[] | null,
): { readonly classes: readonly string[]; readonly indexOf: (text: string) => number } {
  const areNumbers = [...texts].every((text) => /^\d{1,9}$/.test(text));
  if (names && areNumbers) {
    const indexOf = (text: string) => {
      const label = Number(text);
      if (label < names.length) return label;
      throw new UsageError(
        `class ${label} of the shards has no name in ${classesFile}, which has ${names.length}; accepted: 0 to ${names.length - 1}`,
      );
    };
    return { classes: names, indexOf };
  }
  const known = new Set(names);
  const unknown = names && [...texts].find((text) => !known.has(text));
  if (unknown !== null && unknown !== undefined) {
    throw new UsageError(
      `class '${unknown}' of the shards is not in ${classesFile}; accepted: its names, or 0 to ${names!.length - 1}`,
    );
  }
  const inOrder = areNumbers
    ? [...new Set([...texts].map(Number))].sort((a, b) => a - b).map(String)
    : [...texts].sort();
  const classes = names ?? inOrder;
  const indices = new Map(classes.map((name, index) => [name, index]));
  return { classes, indexOf: (text) => indices.get(areNumbers ? String(Number(text)) : text)! };
}
