import { readFileSync } from 'node:fs';
import { UsageError } from '../errors.js';
import { checkConfig } from './check.js';
import { findPreset } from './presets.js';
import { describeIssues } from './problems.js';
import { configSchema, type Config } from './schema.js';

export interface ConfigSources {
  /** Name of a preset; wins over the one a file names. */
  readonly preset?: string;
  /** Path of a JSON file: keys of the config, and optionally `"preset": "name"`, which it then starts from. */
  readonly file?: string;
  /** Assignments `key.sub=value`; the value is JSON, or else a string. */
  readonly set?: readonly string[];
}

/**
 * The complete config from its sources, later ones winning: defaults, preset, file, assignments.
 * Throws UsageError, one line, for whatever is wrong in them.
 */
export function loadConfig({ preset, file, set = [] }: ConfigSources): Config {
  const { preset: filePreset, ...fileConfig } = file === undefined ? {} : readConfigFile(file);
  if (filePreset !== undefined && typeof filePreset !== 'string') {
    throw new UsageError(
      `config: preset in ${file} is ${JSON.stringify(filePreset)}; accepted: a preset's name`,
    );
  }
  const name = preset ?? filePreset;
  const layers = [
    ...(name === undefined ? [] : [findPreset(name).config]),
    fileConfig,
    ...set.map(parseAssignment),
  ];
  // The defaults come first, so that an assignment meets a complete object (a union's `kind` above all).
  return parseConfig(layers.reduce<unknown>(merge, configSchema.parse({})));
}

/** The config with assignments `key.sub=value` on top of it. Errors are those of `loadConfig`. */
export function withAssignments(config: Config, set: readonly string[]): Config {
  return parseConfig(set.map(parseAssignment).reduce<unknown>(merge, config));
}

/** The complete config that `input` stands for. Throws UsageError, one line that holds every problem. */
export function parseConfig(input: unknown): Config {
  const { success, data, error } = configSchema.safeParse(input);
  if (!success) throw new UsageError(oneLine(describeIssues(input, error.issues)), { cause: error });
  const contradictions = checkConfig(data);
  if (contradictions.length > 0) throw new UsageError(oneLine(contradictions));
  return data;
}

const oneLine = (problems: readonly string[]): string => `config: ${problems.join('; also: ')}`;

function readConfigFile(file: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? 'is not JSON' : 'cannot be read';
    throw new UsageError(`config: ${file} ${reason} (${(cause as Error).message})`, { cause });
  }
  if (!isRecord(content))
    throw new UsageError(`config: ${file} holds no JSON object; accepted: {"key": value, ...}`);
  return content;
}

/** `key.sub=value` as `{ key: { sub: value } }`. */
function parseAssignment(text: string): unknown {
  const equals = text.indexOf('=');
  const keys = text.slice(0, Math.max(equals, 0)).split('.');
  if (keys.includes('')) {
    throw new UsageError(
      `config: cannot read the assignment "${text}"; accepted: key=value or key.sub=value`,
    );
  }
  return keys.reduceRight<unknown>((value, key) => ({ [key]: value }), parseValue(text.slice(equals + 1)));
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `over` on top of `base`: objects key by key, anything else as a whole. */
function merge(base: unknown, over: unknown): unknown {
  if (!isRecord(base) || !isRecord(over)) return over;
  // Another kind of a union has other keys: those of the old kind must not stay.
  if ('kind' in over && over['kind'] !== base['kind']) return over;
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over)) merged.set(key, merge(merged.get(key), value));
  return Object.fromEntries(merged);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
