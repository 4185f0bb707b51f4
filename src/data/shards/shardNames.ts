import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { reasonOf, UsageError } from '../../errors.js';

/** More are taken for a mistake in a range. */
const maxNames = 100_000;

/** Whether a source that is no existing file or folder names shards: a path that ends in `.tar`. */
export function namesShards(source: string): boolean {
  return /\.tar\}?$/i.test(source);
}

/** Why a source that other readers of shards take is none here; null for any other. */
export function foreignSource(source: string): string | null {
  const range = 'shards/train-{000..146}.tar';
  if (/^(file|pipe):|^[a-z][a-z0-9+.-]+:\/\//i.test(source)) {
    return `data source ${source} is a URL; accepted: paths of files on this machine, such as ${range}`;
  }
  if (/\.tar(\}?)::/i.test(source)) {
    return `data source ${source} joins paths with '::'; accepted: braces, such as ${range} or {a,b}.tar, or a mix (.json)`;
  }
  if (/\.(tar\.[a-z0-9]+|tgz|tbz2?|txz|tzst)\}?$/i.test(source)) {
    return `data source ${source} is compressed, so no image can be read by itself; accepted: tar archives that are not (.tar)`;
  }
  return null;
}

/** The shards of a folder, sorted. */
export async function shardsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => /^[^.].*\.tar$/is.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/**
 * The shards that a path names, in this order: `{000..146}` is a range of numbers with leading zeros, `{a,b}` one or the
 * other, as in a shell and in Python's webdataset; `*` and `?` in the last part of a path stand for files there, sorted.
 * In names of what exists they are part of the name.
 * @throws UsageError for a range that is none and for a pattern that no file fits.
 */
export async function shardPaths(source: string): Promise<string[]> {
  if (existsSync(source)) return [source];
  const folder = dirname(source);
  const names = existsSync(folder)
    ? expandBraces(basename(source)).map((name) => join(folder, name))
    : expandBraces(source);
  const paths: string[] = [];
  for (const name of names) paths.push(...(/[*?]/.test(basename(name)) ? await matches(name) : [name]));
  return paths;
}

/** @throws UsageError beyond 100,000 names. */
export function expandBraces(pattern: string): string[] {
  for (let open = pattern.indexOf('{'); open >= 0; open = pattern.indexOf('{', open + 1)) {
    const close = closing(pattern, open);
    if (close === null) continue;
    const parts = partsOf(pattern.slice(open + 1, close), pattern);
    if (!parts) continue;
    const before = pattern.slice(0, open);
    const endings = expandBraces(pattern.slice(close + 1));
    if (parts.length * endings.length > maxNames) throw tooMany(pattern);
    return parts.flatMap((part) => endings.map((ending) => `${before}${part}${ending}`));
  }
  return [pattern];
}

/** Where the brace that is opened at `open` is closed; null when it is not. */
function closing(pattern: string, open: number): number | null {
  let depth = 0;
  for (let at = open; at < pattern.length; at++) {
    if (pattern[at] === '{') depth++;
    else if (pattern[at] === '}' && --depth === 0) return at;
  }
  return null;
}

/** What stands between braces: a range, or alternatives; null for other text. */
function partsOf(text: string, pattern: string): string[] | null {
  const range = /^(-?\d+)\.\.(-?\d+)(?:\.\.-?(\d+))?$/.exec(text);
  if (range) return numbers(range[1]!, range[2]!, Number(range[3] ?? 1) || 1, pattern);
  const parts = [''];
  let depth = 0;
  for (const character of text) {
    if (character === '{') depth++;
    else if (character === '}') depth--;
    if (character === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.length === 1 ? null : parts.flatMap((part) => expandBraces(part));
}

function numbers(first: string, last: string, step: number, pattern: string): string[] {
  const [start, end] = [Number(first), Number(last)];
  const count = Math.floor(Math.abs(end - start) / step) + 1;
  if (count > maxNames) throw tooMany(pattern);
  // As a shell does: the width of either end, where one begins with a zero.
  const isPadded = [first, last].some((text) => /^-?0\d/.test(text));
  const width = isPadded ? Math.max(first.length, last.length) : 1;
  const signed = start <= end ? step : -step;
  return Array.from({ length: count }, (_, i) => {
    const number = start + i * signed;
    const digits = String(Math.abs(number));
    return number < 0 ? `-${digits.padStart(width - 1, '0')}` : digits.padStart(width, '0');
  });
}

function tooMany(pattern: string): UsageError {
  return new UsageError(`${pattern} names more than ${maxNames} shards; accepted: at most so many`);
}

async function matches(pattern: string): Promise<string[]> {
  const folder = dirname(pattern);
  const name = pattern.slice(pattern.search(/[^\\/]*$/));
  const expression = name
    .replace(/[.+^$()|[\]{}\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  const fits = new RegExp(`^${expression}$`, 's');
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    throw new UsageError(`data source ${pattern}: ${folder} cannot be read (${reasonOf(cause)})`, { cause });
  }
  const found = names.filter((file) => fits.test(file) && !file.startsWith('.')).sort();
  if (found.length === 0)
    throw new UsageError(`data source ${pattern} fits no file; accepted: shards that exist`);
  return found.map((file) => join(folder, file));
}
