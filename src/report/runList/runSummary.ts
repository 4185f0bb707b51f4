import { join } from 'node:path';
import type { z } from 'zod';
import { recordedConfigSchema } from '../../config/recorded.js';
import type { Config } from '../../config/schema.js';
import { counted } from '../../counted.js';
import { probeName } from '../../evaluation/resultFiles.js';
import { probeProtocols, resultSchemas, type WidthAccuracy } from '../../evaluation/results.js';
import { isAbsent } from '../../plainFile.js';
import { readJsonIfThere } from '../../readJson.js';
import { listCheckpoints, readCheckpointInfo } from '../../training/checkpoint.js';
import { logFile, readEvents } from '../../training/eventLog.js';
import type { LoggedEvent } from '../../training/events.js';
import { writerOf } from '../../training/folderLock.js';
import { importedFingerprint } from '../../training/resume.js';
import { imagesPerStep } from '../history.js';
import { readTail } from './logTail.js';

/** Steps that the speed is averaged over. */
const recentSteps = 50;

/**
 * `running`: a process writes there. `crashed`: it ended without saying so, by an error, a kill or with its machine.
 * `unbegun`: no step was ever about to begin. `imported`: weights of `slimclr import`, which nothing trains.
 */
export type RunState = 'running' | 'interrupted' | 'done' | 'diverged' | 'crashed' | 'unbegun' | 'imported';

/** The best width of a run by one measurement. */
export interface BestAccuracy {
  /** Of the width: `w1.00`. */
  readonly label: string;
  /** Share of the test images. */
  readonly top1: number;
  /** What measured: `monitor`, `knn`, `probe`, `probe-ridge`. */
  readonly by: string;
  /** Of the monitor: epochs that were done. */
  readonly epoch?: number;
}

/** What a run folder says of its run. */
export interface RunSummary {
  readonly folder: string;
  readonly state: RunState;
  /** How the latest process ended, as the log has it; null while it runs and where it did not say so. */
  readonly stop: { readonly reason: string; readonly message?: string } | null;
  /** Steps done, of how many; null where that is not known. */
  readonly step: number;
  readonly steps: number | null;
  /** Epochs done, with the part of the one that has begun, of how many. */
  readonly epoch: number;
  readonly epochs: number | null;
  /** Steps done in the newest checkpoint, and its path; null without one. */
  readonly checkpoint: { readonly step: number; readonly file: string } | null;
  /** Over the latest steps; null before the first. */
  readonly imagesPerSecond: number | null;
  /** When the last event was logged (ISO 8601). */
  readonly updated: string | null;
  /** Of each kind of measurement that there is, the best: by the monitor over all epochs, by `knn`, by all probes. */
  readonly best: {
    readonly monitor?: BestAccuracy;
    readonly knn?: BestAccuracy;
    readonly probe?: BestAccuracy;
  };
  readonly config: Config | null;
  /** What is damaged and was left out, one sentence each. */
  readonly notes: readonly string[];
}

type EventOf<Type extends LoggedEvent['type']> = Extract<LoggedEvent, { type: Type }>;

/**
 * Sums a run up from its log, its lock and its results, in memory that does not grow with the log; of the steps only the last
 * are read. Nothing is written.
 */
export async function runSummary(folder: string): Promise<RunSummary> {
  const notes: string[] = [];
  const log = await readLog(folder, notes);
  const { start, stop, tail } = log;
  const config =
    start?.config ??
    (await attempt(notes, () => readJsonIfThere(join(folder, 'config.json'), recordedConfigSchema))) ??
    null;
  const newest = (await listCheckpoints(folder).catch(() => [])).at(-1);
  const last = tail.steps.at(-1);
  const step = stop?.step ?? (last ? last.step + 1 : (start?.step ?? newest?.step ?? 0));
  const stepsPerEpoch = start?.stepsPerEpoch;
  const seconds = tail.steps.reduce((sum, event) => sum + event.seconds, 0);
  return {
    folder,
    state: await stateOf(folder, log, newest?.path),
    stop: stop ? { reason: stop.reason, ...(stop.message !== undefined && { message: stop.message }) } : null,
    step,
    steps: config && stepsPerEpoch ? config.epochs * stepsPerEpoch : null,
    epoch: stepsPerEpoch ? step / stepsPerEpoch : (newest?.epoch ?? 0),
    epochs: config?.epochs ?? null,
    checkpoint: newest ? { step: newest.step, file: newest.path } : null,
    imagesPerSecond: config && seconds > 0 ? (tail.steps.length * imagesPerStep(config)) / seconds : null,
    updated: tail.updated,
    best: { ...(log.best && { monitor: log.best }), ...(await bestResults(folder, notes)) },
    config,
    notes,
  };
}

interface ReadLog {
  readonly start: EventOf<'start'> | undefined;
  /** Of the latest process. */
  readonly stop: EventOf<'stop'> | undefined;
  readonly best: BestAccuracy | undefined;
  readonly tail: Awaited<ReturnType<typeof readTail>>;
}

async function readLog(folder: string, notes: string[]): Promise<ReadLog> {
  const path = join(folder, logFile);
  let [start, stop]: [EventOf<'start'>?, EventOf<'stop'>?] = [];
  let measured: { readonly step: number; readonly best: BestAccuracy }[] = [];
  let damaged = 0;
  const onEvent = (event: LoggedEvent) => {
    if (event.type === 'start') {
      [start, stop] = [event, undefined];
      // What is done again is measured again.
      measured = measured.filter(({ step }) => step < event.step);
    } else if (event.type === 'stop') stop = event;
    else if (event.type === 'knn') {
      const widths = Object.entries(event.accuracies).map(([label, { top1 }]) => ({ label, top1 }));
      const best = bestOf(widths, 'monitor');
      if (best) measured.push({ step: event.step, best: { ...best, epoch: event.epoch + 1 } });
    }
  };
  try {
    await readEvents(path, { only: ['start', 'stop', 'knn'], onEvent, onDamage: () => (damaged += 1) });
    if (damaged > 0) notes.push(`${counted(damaged, 'damaged line')} of ${logFile} left out.`);
    const best = measured.map((one) => one.best).reduce<BestAccuracy | undefined>(better, undefined);
    return { start, stop, best, tail: await readTail(path, recentSteps) };
  } catch (error) {
    if (!isAbsent(error)) notes.push(`${logFile} was left out: ${(error as Error).message}.`);
    return { start, stop, best: undefined, tail: { steps: [], updated: null } };
  }
}

async function stateOf(
  folder: string,
  { start, stop }: ReadLog,
  checkpoint: string | undefined,
): Promise<RunState> {
  if (await writerOf(folder).catch(() => null)) return 'running';
  switch (stop?.reason) {
    case 'done':
    case 'early':
      return 'done';
    case 'interrupted':
    case 'time-limit':
      return 'interrupted';
    case 'diverged':
      return 'diverged';
    case undefined:
      if (start) return 'crashed';
  }
  const info = checkpoint === undefined ? null : await readCheckpointInfo(checkpoint).catch(() => null);
  return info?.fingerprint === importedFingerprint ? 'imported' : info ? 'interrupted' : 'unbegun';
}

async function bestResults(
  folder: string,
  notes: string[],
): Promise<Pick<RunSummary['best'], 'knn' | 'probe'>> {
  const read = <T>(name: string, schema: z.ZodType<T>) =>
    attempt(notes, () => readJsonIfThere(join(folder, 'results', `${name}.json`), schema));
  const knn = await read('knn', resultSchemas.knn);
  let probe: BestAccuracy | undefined;
  for (const name of probeProtocols.map(probeName)) {
    const result = await read(name, resultSchemas.probe);
    if (result) probe = better(probe, bestOf(trained(result.widths), name));
  }
  const best = knn && bestOf(trained(knn.widths), 'knn');
  return { ...(best && { knn: best }), ...(probe && { probe }) };
}

const trained = (widths: readonly Pick<WidthAccuracy, 'label' | 'trained'>[]) =>
  widths.map(({ label, trained: { top1 } }) => ({ label, top1 }));

function bestOf(
  widths: readonly { readonly label: string; readonly top1: number }[],
  by: string,
): BestAccuracy | undefined {
  return widths.map((width) => ({ ...width, by })).reduce<BestAccuracy | undefined>(better, undefined);
}

/** The better one; of equal ones the first. */
function better(a: BestAccuracy | undefined, b: BestAccuracy | undefined): BestAccuracy | undefined {
  return a && (!b || a.top1 >= b.top1) ? a : b;
}

/** What a file holds; undefined, with a note, when it is damaged. */
async function attempt<T>(notes: string[], read: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    notes.push(`${(error as Error).message}.`);
    return undefined;
  }
}
