import { basename, relative } from 'node:path';
import { leaves } from '../../config/format.js';
import type { Config } from '../../config/schema.js';
import { findRuns } from './findRuns.js';
import { runSummary, type RunSummary } from './runSummary.js';

/** A run among others. */
export interface ListedRun extends Omit<RunSummary, 'config'> {
  /** Path from the folder that was looked through; its own name for the folder itself. */
  readonly name: string;
  /** The keys of the config in which the runs differ, and their values here; a key that its kinds lack is absent. */
  readonly differences: Readonly<Record<string, unknown>>;
}

export interface RunList {
  readonly runs: readonly ListedRun[];
  /** Folders that could not be read. */
  readonly notes: readonly string[];
}

/** What a run writes itself, or that says nothing of it. */
const own = /^(continued\.|init\.sha256$)/;

/** The runs at and below a folder. Throws a UsageError for what is no folder. */
export async function listRuns(root: string): Promise<RunList> {
  const { folders, notes } = await findRuns(root);
  const summaries: RunSummary[] = [];
  // One after the other: logs are long, and disks are slow at many.
  for (const folder of folders) summaries.push(await runSummary(folder));
  const keys = differingKeys(summaries.flatMap(({ config }) => (config ? [config] : [])));
  const runs = summaries.map(({ config, ...summary }) => ({
    name: relative(root, summary.folder) || basename(summary.folder),
    ...summary,
    differences: Object.fromEntries(config ? leaves(config).filter(([path]) => keys.has(path)) : []),
  }));
  return { runs, notes };
}

/** The keys that not all configs have the same value of. */
function differingKeys(configs: readonly Config[]): ReadonlySet<string> {
  const values = configs.map(
    (config) => new Map(leaves(config).map(([path, value]) => [path, JSON.stringify(value)])),
  );
  const paths = new Set(values.flatMap((map) => [...map.keys()]));
  return new Set(
    [...paths].filter(
      (path) => !own.test(path) && values.some((map) => map.get(path) !== values[0]!.get(path)),
    ),
  );
}
