import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { parseConfig } from '../config/load.js';
import { withKeysSince } from '../config/recorded.js';
import type { Config } from '../config/schema.js';
import { SlimclrError, UsageError } from '../errors.js';
import { probeName } from '../evaluation/resultFiles.js';
import {
  resultSchemas,
  type DiagnosticsResult,
  type ExportResult,
  type FinetuneResult,
  type KnnResult,
  type ProbeProtocol,
  type ProbeResult,
  type Result,
} from '../evaluation/results.js';
import { isAbsent, readPlainFile } from '../plainFile.js';
import { parseJson } from '../readJson.js';
import { logFile } from '../training/eventLog.js';
import { readHistory, trainingHistory, type History } from './history.js';
import { readMeasuredModels, type MeasuredModels } from './measuredModels.js';

/** What a run folder holds. Whatever is missing or damaged is absent here and named in `notes`. */
export interface Run {
  readonly folder: string;
  readonly config: Config | undefined;
  /** What the log tells; empty without one. */
  readonly history: History;
  readonly knn: KnnResult | undefined;
  readonly probe: ProbeResult | undefined;
  /** Of the protocols other than that of `probe`. */
  readonly otherProbes: readonly ProbeResult[];
  /** The fewest labels first. */
  readonly finetunes: readonly FinetuneResult[];
  readonly export: ExportResult | undefined;
  readonly diagnosis: DiagnosticsResult | undefined;
  /** What was measured of exported models of each width and precision. */
  readonly measured: MeasuredModels;
  /** What is missing or damaged, one sentence each. */
  readonly notes: readonly string[];
}

type ResultOf<Kind extends Result['kind']> = Extract<Result, { kind: Kind }>;

/** Damaged lines of a log that are named. */
const namedLines = 3;

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
  const history = await readLog(folder, notes);
  const config = await readText(folder, 'config.json', notes);
  const read = (protocol: ProbeProtocol) => readResult(folder, probeName(protocol), 'probe', notes);
  const run: Run = {
    folder,
    config: history?.start?.config ?? parseRunConfig(config, notes),
    history: history ?? trainingHistory([]),
    knn: await readExpected(folder, 'knn', notes),
    probe: await readExpected(folder, 'probe', notes),
    otherProbes: (await Promise.all(otherProtocols.map(read))).filter((probe) => probe !== undefined),
    finetunes: await readFinetunes(folder, notes),
    export: await readExpected(folder, 'export', notes),
    diagnosis: await readResult(folder, 'diagnostics', 'diagnostics', notes),
    measured: await readMeasuredModels(folder, notes),
    notes,
  };
  const parts = [
    history,
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

/** The text of a file; undefined when there is none, and, with a note, when it cannot be read. */
async function readText(folder: string, file: string, notes: string[]): Promise<string | undefined> {
  try {
    return (await readPlainFile(join(folder, file))).toString('utf8');
  } catch (error) {
    if (!isAbsent(error)) notes.push(`${file} was left out: ${(error as Error).message}.`);
    return undefined;
  }
}

/** The history of the log; undefined when there is none. Lines that are no events are noted. */
async function readLog(folder: string, notes: string[]): Promise<History | undefined> {
  const problems: string[] = [];
  let damaged = 0;
  try {
    return await readHistory(join(folder, logFile), (line, problem) => {
      damaged += 1;
      if (problems.length < namedLines) problems.push(`${line} of ${logFile} ${problem} and was left out.`);
    });
  } catch (error) {
    notes.push(
      isAbsent(error)
        ? `There is no ${logFile}, so no training curves.`
        : `${logFile} was left out: ${(error as Error).message}.`,
    );
    return undefined;
  } finally {
    notes.push(...problems);
    if (damaged > problems.length) {
      notes.push(`${damaged - problems.length} more lines of ${logFile} were left out.`);
    }
  }
}

/** The config of a run that has logged no start. */
function parseRunConfig(text: string | undefined, notes: string[]): Config | undefined {
  if (text === undefined) {
    notes.push('There is no config.json and the log has no start, so no configuration.');
    return undefined;
  }
  return parsed('config.json', notes, () =>
    parseConfig(withKeysSince(parseJson(text, z.unknown(), 'config.json'))),
  );
}

/** What a file holds; undefined, with a note, when it does not. */
function parsed<T>(file: string, notes: string[], parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SlimclrError)) throw error;
    notes.push(`${file} was left out: ${error.message.replace(`${file}: `, '')}.`);
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
  const files = await readdir(join(folder, 'results')).catch((): string[] => []);
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
  const text = await readText(folder, file, notes);
  if (text === undefined) return undefined;
  const schema: z.ZodType<Result> = resultSchemas[kind];
  return parsed(file, notes, () => parseJson(text, schema, file)) as ResultOf<Kind> | undefined;
}
