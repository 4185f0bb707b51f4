import { basename } from 'node:path';
import type { Engine } from '../engines/engine.js';
import { readClassifiers, type ProbeClassifiers } from '../evaluation/classifiers.js';
import { SlimclrError } from '../errors.js';
import type { TrainedRun } from '../evaluation/trainedRun.js';
import { widthLabel } from '../nn/widthLabel.js';
import { checkConversion, type Conversion } from './conversion.js';
import { Converter } from './converter.js';
import { classifierOf, type ExportJob, type ExportOptions } from './exportJob.js';
import { floatGraph, type ExportSubject } from './exportModel.js';
import type { ManifestModel } from './manifest.js';

/** What a width is exported as. */
export interface WidthForm {
  readonly subject: ExportSubject;
  /** null: nothing was converted, float32 was asked for. */
  readonly conversion: Conversion | null;
}

/**
 * What gives the form of each width: that of the job, in float32 where a conversion was not worth it, which a notice
 * says. Throws the UsageErrors of `checkConversion`, and one for images of the run that are not there.
 */
export async function widthForms(
  job: ExportJob,
  engine: Engine,
  options: ExportOptions,
): Promise<(width: number) => Promise<WidthForm>> {
  const { run, subject, probe } = job;
  const { form, config } = subject;
  const { precision } = form;
  checkConversion(precision, options.conversion ?? {});
  if (precision === 'float32') return () => Promise.resolve({ subject, conversion: null });
  const { source, cacheDirectory, onNotice, onProgress, signal } = options;
  const converted = {
    run: { ...run, config },
    probe: probe ?? (await measuringProbe(run)),
    graphOf: (width: number) => {
      const scores = probe && classifierOf(probe, widthLabel(width));
      const ofAnyBatch = { ...subject, form: { ...form, batch: null, outputs: [] } };
      return floatGraph(ofAnyBatch, width, scores ?? undefined).folded;
    },
  };
  const converter = await Converter.open(precision, converted, engine, {
    ...options.conversion,
    ...(source !== undefined && { source }),
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    ...(onNotice && { onNotice }),
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
  });
  return async (width) => {
    const { conversion, convert } = await converter.convert(width);
    options.onConversion?.(conversion);
    if (convert) return { subject: { ...subject, toPrecision: convert }, conversion };
    onNotice?.(`${conversion.label} stays float32: ${conversion.reason}`);
    return { subject: { ...subject, form: { ...form, precision: 'float32' } }, conversion: null };
  };
}

/** The classifiers of the linear probe that the run has of this checkpoint; null: it has none that can be used. */
async function measuringProbe({ folder, sha256 }: TrainedRun): Promise<ProbeClassifiers | null> {
  try {
    const probe = await readClassifiers(folder);
    return probe.checkpoint === sha256 ? probe : null;
  } catch (error) {
    if (error instanceof SlimclrError) return null;
    throw error;
  }
}

/** What a manifest tells of the accuracy of a converted model, and of its making. */
export function convertedFacts({
  test,
  after,
  before,
  cosine,
  images,
  source,
  quantization,
}: Conversion): Pick<ManifestModel, 'accuracy' | 'conversion'> {
  // A folder by its name: manifests are published, places on a disk are not.
  const measured = test && {
    source: basename(test.source),
    images: test.images,
    ...(test.heldOut && { heldOut: test.heldOut }),
  };
  const { bytes, latency, knn, probe } = before;
  return {
    accuracy: {
      knn:
        test && after.knn ? { ...after.knn, ...measured!, k: test.k, temperature: test.temperature } : null,
      probe: test && after.probe ? { ...after.probe, ...measured!, protocol: 'features' } : null,
    },
    conversion: {
      cosine,
      images,
      source: basename(source),
      quantization: quantization && { ...quantization, float: [...quantization.float] },
      float32: { bytes, milliseconds: latency, knn: knn?.top1 ?? null, probe: probe?.top1 ?? null },
    },
  };
}
