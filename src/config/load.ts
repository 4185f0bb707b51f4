import { readFileSync } from 'node:fs';
import { UsageError } from '../errors.js';
import { readAssignments } from './assignments.js';
import { checkConfig } from './check.js';
import { kinds, layered, setKeys, isRecord, type ConfigKeys } from './layers.js';
import { findPreset } from './presets.js';
import { describeIssues } from './problems.js';
import { configSchema, type Config } from './schema.js';
import { decodeText, unreadableJson } from './text.js';

export interface ConfigSources {
  /** Name of a preset; wins over the one a file names. */
  readonly preset?: string;
  /** Path of a JSON file: keys of the config, and optionally `"preset": "name"`, which it then starts from. */
  readonly file?: string;
  /** Assignments `key.sub=value`, in any order; the value is JSON, or else a string. */
  readonly set?: readonly string[];
}

/**
 * The complete config from its sources, later ones winning: defaults, preset, file, assignments. A source that chooses
 * another kind of something keeps what the earlier ones set and that kind has, too: `schedule.kind=constant` the peak.
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
    // One layer, so that their order does not matter.
    readAssignments(set),
  ];
  return parseConfig(layers.reduce<ConfigKeys>(layered, kinds));
}

/** The config with assignments `key.sub=value` on top of it. Errors are those of `loadConfig`. */
export function withAssignments(config: Config, set: readonly string[]): Config {
  return parseConfig(layered(setKeys(config), readAssignments(set)));
}

/** The complete config that `input` stands for. Throws UsageError, one line that holds every problem. */
export function parseConfig(input: unknown): Config {
  const { success, data, error } = configSchema.safeParse(input);
  if (!success) throw new UsageError(sentences(describeIssues(input, error.issues)), { cause: error });
  const contradictions = checkConfig(data);
  if (contradictions.length > 0) throw new UsageError(sentences(contradictions));
  return data;
}

const sentences = (problems: readonly string[]): string => `config: ${problems.join('; also: ')}`;

function readConfigFile(file: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(decodeText(readFileSync(file)));
  } catch (cause) {
    throw unreadableJson(`config: ${file}`, cause);
  }
  if (!isRecord(content))
    throw new UsageError(`config: ${file} holds no JSON object; accepted: {"key": value, ...}`);
  return content;
}
