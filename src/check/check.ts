import { ForeignModel } from '../engines/foreignModel.js';
import { threadCount } from '../engines/engineOptions.js';
import { SlimclrError, UsageError } from '../errors.js';
import { openLabelledSource, type LabelledSource } from '../evaluation/labelledImages.js';
import { version } from '../version.js';
import { checkAccuracy, defaultDrop, modelAccuracy, type MeasuredAccuracy } from './accuracy.js';
import { checkBytes, checkLatency, defaultRatios } from './budget.js';
import { readGoldenModels, type GoldenModel } from './goldenModels.js';
import { checkNumerics, defaultTolerances, goldenOutput, type GoldenOutput } from './numerics.js';
import type { CheckOptions } from './options.js';
import { checkRow, type CheckResult, type CheckRow } from './results.js';
import { runModel, singleFeed } from './runModel.js';
import { SampleImages } from './sampleImages.js';
import { checkStructure } from './structure.js';
import { modelsAt, openModel, type ModelFile, type OpenedModel } from './subject.js';
import { fixedInputs, type FixedInput } from './fixedInputs.js';

/**
 * Compares models with golden ones: how they are built, what they compute for fixed inputs, how large and slow they are,
 * and with labelled images how well kNN does on their features. `subject` is a run, a folder of exports or a model;
 * `against` a folder that `updateGoldenModels` wrote, or older models. What is wrong with a model of the subject is a row
 * of the result; what is wrong with the golden ones, or with the call, is thrown as a SlimclrError or UsageError.
 */
export async function checkModels(
  subject: string,
  against: string,
  options: CheckOptions = {},
): Promise<CheckResult> {
  const models = await modelsAt(subject);
  const images = new SampleImages(subject, options);
  const golden: readonly (GoldenModel | ModelFile)[] =
    (await readGoldenModels(against)) ??
    (await modelsAt(against, 'a golden folder, which --update writes, or older models'));
  const source = options.labelled === undefined ? null : await openLabelled(options.labelled, options);
  const rows: CheckRow[] = [];
  for (const [file, reference] of paired(subject, models, against, golden)) {
    options.onProgress?.(`checking ${(file ?? reference!).name}`);
    if (!file || !reference) {
      const reason = file
        ? 'added: there is no golden model of this name'
        : 'removed: the golden model is gone';
      const { name } = (file ?? reference)!;
      rows.push(
        checkRow({ model: name, kind: 'structure', item: 'model', status: 'failed', unit: 'nodes', reason }),
      );
      continue;
    }
    rows.push(...(await checkModel(file, reference, images, source, options)));
  }
  const passed = rows.every(({ status }) => status !== 'failed');
  return { kind: 'check', version: 1, slimclr: version, subject, against, passed, rows };
}

/** Models and golden ones of the same name, or the one and the other where there is no choice. */
function paired<T extends { readonly name: string }>(
  subject: string,
  models: readonly ModelFile[],
  against: string,
  golden: readonly T[],
): [ModelFile | undefined, T | undefined][] {
  const named = new Map(golden.map((model) => [model.name, model]));
  const [only, onlyGolden] = [models[0]!, golden[0]];
  if (models.length === 1 && golden.length === 1) return [[only, onlyGolden]];
  if (only.path === subject) {
    const found = named.get(only.name);
    if (found) return [[only, found]];
    throw new UsageError(
      `${against}: no golden model ${only.name}; accepted: ${[...named.keys()].join(', ') || 'a model'}`,
    );
  }
  const files = new Map(models.map((model) => [model.name, model]));
  return [...new Set([...named.keys(), ...files.keys()])].map((name) => [files.get(name), named.get(name)]);
}

async function checkModel(
  file: ModelFile,
  reference: GoldenModel | ModelFile,
  images: SampleImages,
  source: LabelledSource | null,
  options: CheckOptions,
): Promise<CheckRow[]> {
  const model = file.name;
  const failed = (kind: CheckRow['kind'], item: string, unit: CheckRow['unit'], error: SlimclrError) =>
    checkRow({ model, kind, item, unit, status: 'failed', reason: error.message });
  const golden = await openGolden(reference);
  const opened = await attempt(() => openModel(file));
  if (opened instanceof SlimclrError) return [failed('structure', 'model', 'nodes', opened)];
  const rows = [checkStructure(model, golden.structure, opened.structure)];
  const bytes = checkBytes(model, golden.bytes, opened.bytes, options.bytesRatio ?? defaultRatios.bytes);
  const sessions = new Sessions(options);
  try {
    const session = await attempt(() => sessions.open(file.path));
    if (session instanceof SlimclrError) {
      return [...rows, failed('numerics', 'run', 'error', session), bytes];
    }
    // The golden model goes first: what it does not take is wrong with the call.
    const reference = golden.path === null ? null : await sessions.open(golden.path);
    const inputs =
      golden.inputs ??
      (await fixedInputs(golden.opened!.structure, await images.of(golden.opened!), options));
    const expected = golden.outputs ?? wholeOutputs(runModel(reference!, golden.opened!.structure, inputs));
    const now = await attempt(() => runModel(session, opened.structure, inputs));
    if (now instanceof SlimclrError) return [...rows, failed('numerics', 'run', 'error', now), bytes];
    const tolerance = options.tolerance ?? golden.tolerance;
    rows.push(...checkNumerics(model, expected, now, tolerance), bytes);
    if (options.latency !== false) rows.push(latencyRow(opened, golden, inputs, session, reference, options));
    rows.push(...(await accuracyRows(opened, golden, session, reference, source, options)));
    return rows;
  } finally {
    sessions.close();
  }
}

/** A golden model, or an older model in its place: then what it gives is computed now. */
interface Golden extends Omit<GoldenModel, 'inputs' | 'outputs'> {
  readonly inputs: GoldenModel['inputs'] | null;
  readonly outputs: GoldenModel['outputs'] | null;
  readonly opened: OpenedModel | null;
}

async function openGolden(reference: GoldenModel | ModelFile): Promise<Golden> {
  if ('tolerance' in reference) {
    const { name, path } = reference;
    return { ...reference, opened: path === null ? null : await openModel({ name, path }) };
  }
  const opened = await openModel(reference);
  const tolerance = defaultTolerances[opened.structure.precision];
  return { ...opened, tolerance, inputs: null, outputs: null, accuracy: null, opened };
}

function latencyRow(
  opened: OpenedModel,
  golden: Golden,
  inputs: readonly FixedInput[],
  session: ForeignModel,
  reference: ForeignModel | null,
  { latencyRatio = defaultRatios.latency }: CheckOptions,
): CheckRow {
  const row = { model: opened.name, kind: 'budget', item: 'latency', unit: 'milliseconds' } as const;
  if (reference === null || golden.opened === null) {
    return checkRow({ ...row, status: 'skipped', reason: 'the golden folder does not keep the model' });
  }
  if (opened.sha256 === golden.sha256 && opened.external.length === 0) {
    return checkRow({ ...row, status: 'passed', reason: 'not measured: the same file' });
  }
  const timed = (model: ForeignModel, { structure }: OpenedModel) => ({
    model,
    feeds: singleFeed(structure.inputs, inputs),
  });
  return checkLatency(opened.name, timed(reference, golden.opened), timed(session, opened), latencyRatio);
}

async function accuracyRows(
  opened: OpenedModel,
  golden: Golden,
  session: ForeignModel,
  reference: ForeignModel | null,
  source: LabelledSource | null,
  options: CheckOptions,
): Promise<CheckRow[]> {
  const row = { model: opened.name, kind: 'accuracy', item: 'knn', unit: 'share' } as const;
  const known = golden.accuracy;
  if (!source) {
    if (!known) return [];
    const reason = 'no labelled images are given';
    return [checkRow({ ...row, status: 'skipped', golden: known.knn, reason })];
  }
  const now = await attempt(() => modelAccuracy(session, opened.structure, source, options));
  if (now instanceof SlimclrError) {
    return [checkRow({ ...row, status: 'failed', golden: known?.knn ?? null, reason: now.message })];
  }
  const before = await goldenAccuracy(golden, now, reference, source, options);
  if (before) return [checkAccuracy(opened.name, before, now, options.drop ?? defaultDrop)];
  const reason =
    'the golden accuracy is of other images, or of none, and the golden folder does not keep the model';
  return [checkRow({ ...row, status: 'skipped', now: now.knn, reason })];
}

/** As it is known for these images, or measured now. */
async function goldenAccuracy(
  { accuracy, opened }: Golden,
  now: MeasuredAccuracy,
  reference: ForeignModel | null,
  source: LabelledSource,
  options: CheckOptions,
): Promise<MeasuredAccuracy | null> {
  const isOfThese = accuracy?.fingerprint === now.fingerprint && accuracy.output === now.output;
  if (isOfThese) return accuracy;
  if (!opened || !reference) return null;
  return modelAccuracy(reference, opened.structure, source, { ...options, features: now.output });
}

/** Outputs to compare with that are not kept: whole. */
function wholeOutputs(outputs: ReturnType<typeof runModel>): Map<string, GoldenOutput | null> {
  return new Map([...outputs].map(([name, tensor]) => [name, tensor && goldenOutput(tensor, true)]));
}

/** Labelled images for kNN. */
export async function openLabelled(name: string, options: CheckOptions): Promise<LabelledSource> {
  const { limit = 2000, cacheDirectory, onProgress, onNotice } = options;
  const source = await openLabelledSource(
    name,
    options.labels,
    {
      split: 'test',
      limit,
      seed: 0,
      ...(cacheDirectory !== undefined && { cacheDirectory }),
      ...(onProgress && { onProgress }),
    },
    'kNN',
  );
  for (const line of source.notices) onNotice?.(line);
  return source;
}

/** Models that are open. */
class Sessions {
  readonly #open: ForeignModel[] = [];

  constructor(private readonly options: Pick<CheckOptions, 'threads'>) {}

  async open(path: string): Promise<ForeignModel> {
    const model = await ForeignModel.open(path, threadCount({ threads: this.options.threads ?? 1 }));
    this.#open.push(model);
    return model;
  }

  close(): void {
    for (const model of this.#open) model.close();
  }
}

/** What is wrong with a model is told in its row; wrong usage is not the model's. */
async function attempt<T>(work: () => T | Promise<T>): Promise<T | SlimclrError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SlimclrError && !(error instanceof UsageError)) return error;
    throw error;
  }
}
