import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { UsageError } from '../errors.js';
import type { ExportResult, KnnResult, ProbeResult } from '../evaluation/results.js';
import type { LoggedEvent } from '../training/events.js';

/** What a run folder holds. Whatever is missing or damaged is absent here and named in `notes`. */
export interface Run {
  readonly folder: string;
  readonly config: Config | undefined;
  readonly events: readonly LoggedEvent[];
  readonly knn: KnnResult | undefined;
  readonly probe: ProbeResult | undefined;
  readonly export: ExportResult | undefined;
  /** What is missing or damaged, one sentence each. */
  readonly notes: readonly string[];
}

interface Results {
  readonly knn: KnnResult;
  readonly probe: ProbeResult;
  readonly export: ExportResult;
}

/** What the absence of `results/<kind>.json` takes from the report. */
const absence: Readonly<Record<keyof Results, string>> = {
  knn: 'no kNN accuracy',
  probe: 'no linear probe accuracy',
  export: 'no sizes, multiply-adds and latencies, and no charts over them',
};

/**
 * Reads a run folder: `events.jsonl`, `config.json` and `results/*.json`, any of which may be missing.
 * Throws UsageError for a folder that holds none of them.
 */
export async function readRun(folder: string): Promise<Run> {
  const notes: string[] = [];
  const log = await readText(folder, 'events.jsonl');
  const config = await readText(folder, 'config.json');
  const events = parseLog(log, notes);
  const run: Run = {
    folder,
    config: events.findLast((event) => event.type === 'start')?.config ?? parseRunConfig(config, notes),
    events,
    knn: await readResult(folder, 'knn', notes),
    probe: await readResult(folder, 'probe', notes),
    export: await readResult(folder, 'export', notes),
    notes,
  };
  if ([log, config, run.knn, run.probe, run.export].every((part) => part === undefined)) {
    throw new UsageError(
      `${folder} is not the folder of a run; accepted: one with events.jsonl, config.json or results/*.json`,
    );
  }
  return run;
}

/** The text of a file; undefined when there is none. */
async function readText(folder: string, file: string): Promise<string | undefined> {
  try {
    return await readFile(join(folder, file), 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** The events of a log that may end in the middle of a line: the process was killed, or writes right now. */
function parseLog(text: string | undefined, notes: string[]): LoggedEvent[] {
  if (text === undefined) {
    notes.push('There is no events.jsonl, so no training curves.');
    return [];
  }
  const lines = text.split('\n');
  const events: LoggedEvent[] = [];
  for (const [i, line] of lines.entries()) {
    if (line === '') continue;
    try {
      events.push(JSON.parse(line) as LoggedEvent);
    } catch {
      const which = i === lines.length - 1 ? 'The last line' : `Line ${i + 1}`;
      notes.push(`${which} of events.jsonl is torn and was left out.`);
    }
  }
  return events;
}

/** The config of a run that has logged no start. */
function parseRunConfig(text: string | undefined, notes: string[]): Config | undefined {
  if (text === undefined) {
    notes.push('There is no config.json and the log has no start, so no configuration.');
    return undefined;
  }
  try {
    return parseConfig(JSON.parse(text));
  } catch (error) {
    notes.push(`config.json was left out: ${(error as Error).message}.`);
    return undefined;
  }
}

async function readResult<Kind extends keyof Results>(
  folder: string,
  kind: Kind,
  notes: string[],
): Promise<Results[Kind] | undefined> {
  const text = await readText(folder, join('results', `${kind}.json`));
  if (text === undefined) {
    notes.push(`There is no results/${kind}.json, so ${absence[kind]}.`);
    return undefined;
  }
  try {
    const result = JSON.parse(text) as Results[Kind];
    if (result.kind === kind) return result;
    notes.push(`results/${kind}.json was left out: its kind is "${String(result.kind)}", not "${kind}".`);
  } catch (error) {
    notes.push(`results/${kind}.json was left out: ${(error as Error).message}.`);
  }
  return undefined;
}
