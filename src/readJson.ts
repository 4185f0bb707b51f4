import { z } from 'zod';
import { SlimclrError } from './errors.js';
import { isAbsent, readPlainFile } from './plainFile.js';
import { printable } from './printable.js';

/** What a schema's file holds, read only; `Whole` are types that stay as they are. */
export type Json<Schema extends z.ZodType, Whole = never> = ReadOnly<z.infer<Schema>, Whole>;

type ReadOnly<T, Whole> = [T] extends [Whole]
  ? T
  : T extends object
    ? { readonly [Key in keyof T]: ReadOnly<T[Key], Whole> }
    : T;

/** A measured number: what is not finite is null in JSON, and NaN when it is read back. */
export const lossyNumber = z.number().or(z.null().transform(() => NaN));

/** Measured numbers by name. Those that are all finite, nearly all, are taken at once: there are many. */
export const lossyNumbers = z
  .custom<Record<string, number>>(isFiniteNumbers, 'an object')
  .or(z.record(z.string(), lossyNumber));

function isFiniteNumbers(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  for (const key in value) if (!Number.isFinite((value as Record<string, unknown>)[key])) return false;
  return true;
}

/** SHA-256 in hexadecimal. */
export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal');

/**
 * What a JSON file holds, checked: every file that is read back has a schema, and its type is the schema's. Throws a
 * SlimclrError, one line, for a file that is missing, no JSON, or of another form: the file, the place in it, the
 * value there, what is accepted.
 */
export async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  const content = await readJsonIfThere(path, schema);
  if (content === undefined) throw new SlimclrError(`${path}: no such file`);
  return content;
}

/** `readJson`; undefined when there is no such file. */
export async function readJsonIfThere<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  let text: string;
  try {
    text = (await readPlainFile(path)).toString('utf8');
  } catch (cause) {
    if (isAbsent(cause)) return undefined;
    if (cause instanceof SlimclrError) throw cause;
    throw new SlimclrError(`${path} cannot be read (${(cause as Error).message})`, { cause });
  }
  return parseJson(text, schema, path);
}

/** What a JSON text holds, checked; `place` is what an error calls it. */
export function parseJson<T>(text: string, schema: z.ZodType<T>, place: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    // The parser's own message quotes the text, line breaks included.
    const at = /position \d+/.exec((cause as Error).message)?.[0];
    throw new SlimclrError(`${place}: not JSON, or a part of it${at === undefined ? '' : ` (${at})`}`, {
      cause,
    });
  }
  return checkJson(json, schema, place);
}

/** A value that JSON gave, checked; `place` is what an error calls it. */
export function checkJson<T>(json: unknown, schema: z.ZodType<T>, place: string): T {
  const { success, data, error } = schema.safeParse(json);
  if (!success)
    throw new SlimclrError(`${place}: ${describeIssue(error.issues[0]!, json)}`, { cause: error });
  return data;
}

/** The first problem in words: `graphs[0].flops is "x"; accepted: a number`. */
function describeIssue(issue: z.core.$ZodIssue, json: unknown): string {
  const { path, accepted, problem } = innermost(issue);
  const subject = path.length === 0 ? 'it' : pathText(path);
  if (problem !== undefined) return `${subject} has ${problem}`;
  const value = path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | null | undefined)?.[key],
    json,
  );
  return `${subject} ${value === undefined ? 'is missing' : `is ${valueText(value)}`}; accepted: ${accepted}`;
}

interface Place {
  readonly path: readonly PropertyKey[];
  readonly accepted: string;
  /** Instead of a value that is not accepted. */
  readonly problem?: string;
}

function innermost(issue: z.core.$ZodIssue): Place {
  const { path } = issue;
  switch (issue.code) {
    case 'invalid_type':
      return { path, accepted: types[issue.expected] ?? issue.expected };
    case 'invalid_value':
      return { path, accepted: issue.values.map((value) => JSON.stringify(value)).join(', ') };
    case 'too_small':
      return { path, accepted: bound(issue.origin, issue.inclusive ? '>=' : '>', issue.minimum) };
    case 'too_big':
      return { path, accepted: bound(issue.origin, issue.inclusive ? '<=' : '<', issue.maximum) };
    case 'unrecognized_keys':
      return { path, accepted: '', problem: `the unknown key ${valueText(issue.keys[0])}` };
    case 'invalid_union': {
      const { options } = issue as { readonly options?: readonly unknown[] };
      if (options) return { path, accepted: options.map((kind) => JSON.stringify(kind)).join(', ') };
      // Of the branches, the one that fits furthest tells most.
      const places = issue.errors.flatMap(([first]) => (first ? [innermost(first)] : []));
      const deepest = Math.max(0, ...places.map((place) => place.path.length));
      const chosen = places.filter((place) => place.path.length === deepest);
      if (chosen.length === 0) return { path, accepted: issue.message };
      return {
        ...chosen[0]!,
        path: [...path, ...chosen[0]!.path],
        accepted: [...new Set(chosen.map(({ accepted }) => accepted))].join(', or '),
      };
    }
    case 'invalid_key':
    case 'invalid_element':
      return { path, accepted: issue.issues[0] ? innermost(issue.issues[0]).accepted : 'another key' };
    default:
      // The schema's own words: it says there what is accepted.
      return { path, accepted: issue.message };
  }
}

const types: Readonly<Record<string, string>> = {
  int: 'an integer',
  number: 'a number',
  string: 'a string',
  boolean: 'true, false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
};

function bound(origin: string, relation: string, limit: number | bigint): string {
  if (origin === 'number' || origin === 'int') return `a number ${relation} ${limit}`;
  return `${origin === 'array' ? 'a list' : `a ${origin}`} of a length ${relation} ${limit}`;
}

/** A value as a message shows it: JSON, cut where it is long. */
export function valueText(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return printable(short);
}

/** A place in a JSON file: `runs[2].seed`. */
export function pathText(path: readonly PropertyKey[]): string {
  const text = path
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${String(key)}`))
    .join('');
  return printable(text.length > 120 ? `${text.slice(0, 117)}...` : text);
}
