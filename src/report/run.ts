import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { UsageError } from '../errors.js';
import { probeName } from '../evaluation/resultFiles.js';
import type {
  DiagnosticsResult,
  ExportResult,
  FinetuneResult,
  KnnResult,
  ProbeProtocol,
  ProbeResult,
  Result,
} from '../evaluation/results.js';
import type { LoggedEvent } from '../training/events.js';
import { logUpgrade } from '../training/logFormat.js';

/** What a run folder holds. Whatever is missing or damaged is absent here and named in `notes`. */
export interface Run {
  readonly folder: string;
  readonly config: Config | undefined;
  readonly events: readonly LoggedEvent[];
  readonly knn: KnnResult | undefined;
  readonly probe: ProbeResult | undefined;
  /** Of the protocols other than that of `probe`. */
  readonly otherProbes: readonly ProbeResult[];
  /** The fewest labels first. */
  readonly finetunes: readonly FinetuneResult[];
  readonly export: ExportResult | undefined;
  readonly diagnosis: DiagnosticsResult | undefined;
  /** What is missing or damaged, one sentence each. */
  readonly notes: readonly string[];
}

type ResultOf<Kind extends Result['kind']> = Extract<Result, { kind: Kind }>;

const otherProtocols = ['ridge', 'shared', 'augmented'] as const satisfies readonly ProbeProtocol[];

/** What the absence of `results/<kind>.json` takes from the report. */
const absence = {
  knn: 'no kNN accuracy',
  probe: 'no linear probe accuracy',
  export: 'no sizes, multiply-adds and latencies, and no charts over them',
} as const satisfies Partial<Record<Result['kind'], string>>;

/**
 * Reads a run folder: `events.jsonl`, `config.json` and `results/*.json`, any of which may be missing.
 * Throws UsageError for a folder that holds none of them.
 */
export async function readRun(folder: string): Promise<Run> {
  const notes: string[] = [];
  const log = await readText(folder, 'events.jsonl');
  const config = await readText(folder, 'config.json');
  const events = parseLog(log, notes);
  const read = (protocol: ProbeProtocol) => readResult(folder, probeName(protocol), 'probe', notes);
  const run: Run = {
    folder,
    config: events.findLast((event) => event.type === 'start')?.config ?? parseRunConfig(config, notes),
    events,
    knn: await readExpected(folder, 'knn', notes),
    probe: await readExpected(folder, 'probe', notes),
    otherProbes: (await Promise.all(otherProtocols.map(read))).filter((probe) => probe !== undefined),
    finetunes: await readFinetunes(folder, notes),
    export: await readExpected(folder, 'export', notes),
    diagnosis: await readResult(folder, 'diagnostics', 'diagnostics', notes),
    notes,
  };
  const parts = [
    log,
    config,
    run.knn,
    run.probe,
    ...run.otherProbes,
    ...run.finetunes,
    run.export,
    run.diagnosis,
  ];
  if (parts.every((part) => part === undefined)) {
    throw new UsageError(
      `${folder} is not the folder of a run; accepted: one with events.jsonl, config.json or results/*.json`,
    );
  }
  return run;
}

/** The text of a file; undefined when there is none. */
function readText(folder: string, file: string): Promise<string | undefined> {
  return readFile(join(folder, file), 'utf8').catch(ifAbsent(undefined));
}

/** What a path that does not exist is read as. */
function ifAbsent<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (['ENOENT', 'ENOTDIR'].includes(error.code ?? '')) return value;
    throw error;
  };
}

/** The events of a log that may end in the middle of a line: the process was killed, or writes right now. */
function parseLog(text: string | undefined, notes: string[]): LoggedEvent[] {
  if (text === undefined) {
    notes.push('There is no events.jsonl, so no training curves.');
    return [];
  }
  const lines = text.split('\n');
  const events: LoggedEvent[] = [];
  const upgrade = logUpgrade();
  for (const [i, line] of lines.entries()) {
    if (line === '') continue;
    try {
      events.push(upgrade(JSON.parse(line) as LoggedEvent));
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

/** A result whose absence is worth a note. */
async function readExpected<Kind extends keyof typeof absence>(
  folder: string,
  kind: Kind,
  notes: string[],
): Promise<ResultOf<Kind> | undefined> {
  const known = notes.length;
  const result = await readResult(folder, kind, kind, notes);
  if (result === undefined && notes.length === known) {
    notes.push(`There is no results/${kind}.json, so ${absence[kind]}.`);
  }
  return result;
}

/** Results of fine-tuning, one for each share of the labels. */
async function readFinetunes(folder: string, notes: string[]): Promise<FinetuneResult[]> {
  const files = await readdir(join(folder, 'results')).catch(ifAbsent([]));
  const names = files
    .filter((file) => /^finetune-.*\.json$/.test(file))
    .map((file) => basename(file, '.json'));
  const results = await Promise.all(names.map((name) => readResult(folder, name, 'finetune', notes)));
  return results.filter((result) => result !== undefined).sort((a, b) => a.labels - b.labels);
}

/** A file of `results/`; undefined when there is none, and, with a note, when it is damaged. */
async function readResult<Kind extends Result['kind']>(
  folder: string,
  name: string,
  kind: Kind,
  notes: string[],
): Promise<ResultOf<Kind> | undefined> {
  const file = `results/${name}.json`;
  const text = await readText(folder, file);
  if (text === undefined) return undefined;
  try {
    const result = JSON.parse(text) as ResultOf<Kind>;
    if (result.kind === kind) return result;
    notes.push(`${file} was left out: its kind is "${String(result.kind)}", not "${kind}".`);
  } catch (error) {
    notes.push(`${file} was left out: ${(error as Error).message}.`);
  }
  return undefined;
}
