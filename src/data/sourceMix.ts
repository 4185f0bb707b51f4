import { dirname, isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { decodeText } from '../config/text.js';
import { oneLine, UsageError } from '../errors.js';
import { readPlainFile } from '../plainFile.js';
import { pathText, valueText } from '../readJson.js';
import { datasetNames } from './dataset.js';

/** A source of a mix. */
export interface MixedSource {
  /** Absolute path, or the name of a data set. */
  readonly source: string;
  /** Whether the file says where it is by a path relative to itself. */
  readonly isRelative: boolean;
  /** How often one of its images comes in an epoch. */
  readonly weight: number;
}

const weightSchema = z.number().positive().max(100);
const mixSchema = z
  .array(z.union([z.string(), z.strictObject({ source: z.string(), weight: weightSchema.default(1) })]))
  .min(1);

/** Whether a path is that of a file that names several sources, by its extension. */
export function namesMix(path: string): boolean {
  return /\.json$/i.test(path);
}

/** Reads which sources a file names, a JSON array of paths, relative to it, and of their weights. Throws a UsageError. */
export async function readMix(path: string): Promise<MixedSource[]> {
  let entries: z.output<typeof mixSchema>;
  let json: unknown;
  try {
    json = JSON.parse(decodeText(await readPlainFile(path)));
    entries = mixSchema.parse(json);
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? refusal(json, cause) : oneLine(cause as Error);
    throw new UsageError(
      `the sources of ${path} cannot be read (${reason}); ` +
        'accepted: [{"source": "photos", "weight": 2}, "more"], with weights above 0, at most 100',
      { cause },
    );
  }
  return entries.map((entry) => {
    const { source, weight } = typeof entry === 'string' ? { source: entry, weight: 1 } : entry;
    if (namesMix(source)) {
      throw new UsageError(
        `${path} names ${source}; accepted: data sets, folders, lists, Parquet files and shards of images`,
      );
    }
    const isDataset = datasetNames.includes(source);
    return {
      source: isDataset ? source : resolve(dirname(path), source),
      isRelative: !isDataset && !isAbsolute(source),
      weight,
    };
  });
}

/** What is not accepted, and where it stands. */
function refusal(json: unknown, { issues }: z.ZodError): string {
  const { path } = issues[0]!;
  const value = path.reduce((part: unknown, key) => (part as Record<PropertyKey, unknown>)[key], json);
  return `${pathText(path) || 'it'} is ${valueText(value)}`;
}
