import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SlimclrError, UsageError } from '../../errors.js';
import { isAbsent } from '../../plainFile.js';
import { logFile } from '../../training/eventLog.js';

/** Levels of folders that are looked into. */
const maxDepth = 8;

export interface FoundRuns {
  /** Folders of runs, in the order of their paths. */
  readonly folders: readonly string[];
  /** Folders that could not be read, with the reason. */
  readonly notes: readonly string[];
}

/**
 * The run folders at and below a folder. Links are not followed, runs within a run and names that begin with a dot are not
 * looked for. Throws a UsageError for what is no folder.
 */
export async function findRuns(root: string): Promise<FoundRuns> {
  const folders: string[] = [];
  const notes: string[] = [];
  await visit(root, 0);
  return { folders, notes };

  async function visit(folder: string, depth: number): Promise<void> {
    let entries: Dirent[];
    try {
      entries = await readdir(folder, { withFileTypes: true });
    } catch (error) {
      if (depth === 0) throw unreadable(folder, error as NodeJS.ErrnoException);
      notes.push(`${folder} was left out: ${(error as Error).message}`);
      return;
    }
    const names = new Set(entries.map(({ name }) => name));
    if (isRun(names)) {
      folders.push(folder);
      return;
    }
    if (depth === maxDepth) return;
    const inner = entries.filter((entry) => entry.isDirectory() && !/^\.|^node_modules$/.test(entry.name));
    const order = new Intl.Collator('en', { numeric: true });
    for (const { name } of inner.sort((a, b) => order.compare(a.name, b.name))) {
      await visit(join(folder, name), depth + 1);
    }
  }
}

/** A run that has begun to train, that is to begin, or that was imported. */
function isRun(names: ReadonlySet<string>): boolean {
  if (names.has(logFile)) return true;
  return names.has('config.json') && (names.has('checkpoints') || names.has('programs'));
}

function unreadable(folder: string, error: NodeJS.ErrnoException): SlimclrError {
  if (isAbsent(error))
    return new UsageError(`${folder}: no such folder; accepted: a folder with runs below it`);
  return new SlimclrError(`${folder} cannot be read (${error.message})`, { cause: error });
}
