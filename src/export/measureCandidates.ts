import type { Engine } from '../engines/engine.js';
import { openEngine } from '../engines/openEngine.js';
import { SlimclrError, UsageError } from '../errors.js';
import { evaluateKnn } from '../evaluation/evaluateKnn.js';
import type { TrainedRun } from '../evaluation/trainedRun.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { CandidateModel } from './candidates.js';
import { checkConversion, type Conversion } from './conversion.js';
import { makeModel, type ExportJob, type ExportOptions } from './exportJob.js';
import { modelFile } from './form.js';
import { knownAccuracies, knownTestImages, type AccuracyOf } from './knownAccuracy.js';
import type { ManifestModel } from './manifest.js';
import { manifestModel } from './manifestModel.js';
import { convertedFacts, widthForms } from './widthForm.js';

/** A model that was made to choose from. */
export interface MadeCandidate extends CandidateModel {
  readonly bytes: number;
  readonly content: Uint8Array;
  readonly described: ManifestModel;
  /** Accuracy of the float32 model where a conversion measured it. */
  readonly before: ManifestModel['accuracy'] | null;
}

/**
 * Every width in every precision that is asked for, widest first; `job` is of the float32 models. Throws what `exportRun`
 * does.
 */
export async function measureCandidates(job: ExportJob, options: ExportOptions): Promise<MadeCandidate[]> {
  const { precision, conversion = {} } = options;
  if (precision !== undefined) checkConversion(precision, conversion);
  const engine = await openEngine(job.subject.config.runtime);
  try {
    const low = lowPrecisions.filter((one) => precision === undefined || precision === one);
    const converted = (await mapInOrder(low, (one) => convertedModels(job, one, engine, options))).flat();
    const plain =
      precision === undefined || precision === 'float32'
        ? await floatModels(job, converted, engine, options)
        : [];
    const models = [...plain, ...converted];
    if (models.length > 0) return models.sort((a, b) => b.width - a.width);
    throw new SlimclrError(`no width can be ${precision}; accepted: another precision, or none to try all`);
  } finally {
    await engine.close();
  }
}

/** The widths in a precision; those that a conversion leaves in float32 are left out. */
async function convertedModels(
  job: ExportJob,
  precision: (typeof lowPrecisions)[number],
  engine: Engine,
  options: ExportOptions,
): Promise<MadeCandidate[]> {
  const { subject } = job;
  const asked = { ...job, subject: { ...subject, form: { ...subject.form, precision } } };
  const { activations, calibration, force: _, ...both } = options.conversion ?? {};
  const isNamed = both.testSource !== undefined || both.heldOut;
  const testImages = isNamed ? {} : await knownTestImages(job.run);
  // What is slower than float32 is not chosen, but in the table.
  const quantization = {
    ...(activations && { activations }),
    ...(calibration && { calibration }),
    force: true,
  };
  const conversion = {
    ...both,
    ...testImages,
    ...(precision === 'int8' && quantization),
  };
  try {
    const formOf = await widthForms(asked, engine, { ...options, precision, conversion });
    const models = await mapInOrder(job.widths, async (width) => {
      options.onProgress?.(`measuring ${widthLabel(width)} in ${precision}`);
      const { subject, conversion } = await formOf(width);
      if (!conversion) return null;
      const model = await measuredModel({ ...job, subject }, width, engine, unknown);
      return withFacts(model, convertedFacts(conversion), conversion);
    });
    return models.filter((model) => model !== null);
  } catch (error) {
    // Without images of the run there are no such models.
    if (!(error instanceof UsageError) || options.precision !== undefined) throw error;
    options.onNotice?.(`no models in ${precision}: ${error.message}`);
    return [];
  }
}

/**
 * The widths in float32. Their accuracy is what a conversion measured beside its own, so that all is of the same images;
 * else what `results/` knows, or kNN of the images of the run.
 */
async function floatModels(
  job: ExportJob,
  converted: readonly MadeCandidate[],
  engine: Engine,
  options: ExportOptions,
): Promise<MadeCandidate[]> {
  const { subject, run } = job;
  const { form } = subject;
  const known = converted.some(({ before }) => before?.knn)
    ? null
    : await accuraciesOf(run, converted.length > 0, options);
  return mapInOrder(job.widths, async (width) => {
    options.onProgress?.(`measuring ${widthLabel(width)}`);
    const accuracy = converted.find((model) => model.width === width && model.before)?.before;
    return measuredModel(job, width, engine, accuracy ?? known?.(width, form) ?? unknown);
  });
}

async function measuredModel(
  job: ExportJob,
  width: number,
  engine: Engine,
  accuracy: ManifestModel['accuracy'],
): Promise<MadeCandidate> {
  const { config, form } = job.subject;
  const made = await makeModel(job, width, engine);
  const file = modelFile(config.encoder.name, width, form);
  const described = manifestModel(job, width, file, made, accuracy);
  return { ...candidateOf(described), content: made.bytes, described, before: null };
}

/** A model with what its conversion found, and the accuracy of the float32 model, measured alike. */
function withFacts(
  model: MadeCandidate,
  facts: ReturnType<typeof convertedFacts>,
  conversion: Conversion,
): MadeCandidate {
  const described = { ...model.described, ...facts };
  const before = conversion.test && convertedFacts({ ...conversion, after: conversion.before }).accuracy;
  return { ...model, ...candidateOf(described), described, before };
}

const lowPrecisions = ['float16', 'int8'] as const;
const unknown: ManifestModel['accuracy'] = { knn: null, probe: null };

/** What is known of the accuracy of the widths; kNN is measured where nothing is, unless that was `tried`. */
async function accuraciesOf(run: TrainedRun, tried: boolean, options: ExportOptions): Promise<AccuracyOf> {
  const known = await knownAccuracies(run, options);
  const isKnown = run.config.widths.every((width) => known(width, plain).knn ?? known(width, plain).probe);
  if (tried || isKnown || options.size !== undefined) return known;
  const { checkpoint, cacheDirectory, onProgress, onNotice } = options;
  try {
    await evaluateKnn(run.folder, {
      ...(checkpoint !== undefined && { checkpoint }),
      ...(cacheDirectory !== undefined && { cacheDirectory }),
      ...(onProgress && { onProgress }),
      ...(onNotice && { onNotice }),
    });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    onNotice?.(`accuracy is not known, the widest model counts as the best: ${error.message}`);
  }
  return knownAccuracies(run, options);
}

const plain = { classifier: null, size: null, precision: 'float32' } as const;

async function mapInOrder<T, U>(items: readonly T[], make: (item: T) => Promise<U>): Promise<U[]> {
  const made: U[] = [];
  for (const item of items) made.push(await make(item));
  return made;
}

/** What `results/candidates.json` tells of a model. */
export function candidateOf(model: CandidateModel): CandidateModel {
  const { width, label, precision, bytes, parameters, multiplyAdds, latency, accuracy } = model;
  return { width, label, precision, bytes, parameters, multiplyAdds, latency, accuracy };
}
