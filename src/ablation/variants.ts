import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { diffConfigs } from '../config/format.js';
import { isRecord } from '../config/layers.js';
import { withAssignments } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { decodeText, unreadableJson } from '../config/text.js';
import { UsageError } from '../errors.js';
import type { Json } from '../readJson.js';

/** Assignments `key.sub=value` on top of the base config, by the name of the variant that they make. */
export const tableSchema = z.record(z.string(), z.array(z.string()));
/**
 * Assignments `key.sub=value` on top of the base config, by the name of the variant that they make.
 * @useDeclaredType
 */
export type AblationTable = Json<typeof tableSchema>;

export interface Variant {
  readonly name: string;
  readonly config: Config;
}

const off = {
  slowStart: 'techniques.slowStart.kind=none',
  distillation: 'techniques.distillation.kind=none',
  reweighting: 'techniques.reweighting.kind=none',
} as const;

/** Each of the paper's three techniques alone, none of them, and all: what the base config has. */
export const defaultTable = {
  naive: [off.slowStart, off.distillation, off.reweighting],
  'slow-start': [off.distillation, off.reweighting],
  distillation: [off.slowStart, off.reweighting],
  reweighting: [off.slowStart, off.distillation],
  all: [],
} as const satisfies AblationTable;

/** Reads a table from a JSON file `{ "name": ["key=value", ...], ... }`. */
export async function readTable(file: string): Promise<AblationTable> {
  let content: unknown;
  try {
    content = JSON.parse(decodeText(await readFile(file)));
  } catch (cause) {
    throw unreadableJson(`table ${file}`, cause);
  }
  const accepted = 'accepted: {"name": ["key=value", ...], ...}';
  if (!isRecord(content)) throw new UsageError(`table ${file} holds no JSON object; ${accepted}`);
  for (const [name, assignments] of Object.entries(content)) {
    if (Array.isArray(assignments) && assignments.every((item) => typeof item === 'string')) continue;
    throw new UsageError(`table ${file}: "${name}" is ${JSON.stringify(assignments)}; ${accepted}`);
  }
  return content as AblationTable;
}

/**
 * The variants of a table in its order, or those of them that are `chosen`.
 * Throws a UsageError for a name that the table does not have or that cannot name a folder, for assignments that
 * make no good config, and for variants that would train the same.
 */
export function variantsOf(
  base: Config,
  table: AblationTable,
  chosen: readonly string[] = Object.keys(table),
): Variant[] {
  const names = Object.keys(table);
  const unknown = chosen.find((name) => !names.includes(name));
  if (unknown !== undefined || chosen.length === 0) {
    const what = unknown === undefined ? 'no variant is chosen' : `unknown variant "${unknown}"`;
    throw new UsageError(`${what}; accepted: ${names.join(', ')}`);
  }
  if (base.widths.length === 1) {
    throw new UsageError(
      'widths holds 1 alone, and the techniques are for sub-networks; accepted: at least two widths',
    );
  }
  const variants = names
    .filter((name) => chosen.includes(name))
    .map((name) => ({ name: checkName(name), config: variantConfig(base, name, table[name]!) }));
  for (const [i, { name, config }] of variants.entries()) {
    const twin = variants.slice(0, i).find((other) => diffConfigs(other.config, config).length === 0);
    if (twin === undefined) continue;
    throw new UsageError(
      `variants "${twin.name}" and "${name}" have the same config; accepted: variants that differ, of a base ` +
        'config that has what they leave out (--variants chooses)',
    );
  }
  return variants;
}

/** A variant's name is that of its folder. */
function checkName(name: string): string {
  if (/^\w[\w.+-]*$/.test(name)) return name;
  throw new UsageError(
    `variant "${name}" cannot name a folder; accepted: letters, digits and ._+- after the first`,
  );
}

function variantConfig(base: Config, name: string, assignments: readonly string[]): Config {
  let config: Config;
  try {
    config = withAssignments(base, assignments);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`variant "${name}": ${error.message}`, { cause: error });
  }
  if (config.seed !== base.seed) {
    throw new UsageError(
      `variant "${name}" sets seed, which counts the runs of every variant; accepted: any other key`,
    );
  }
  return config;
}
