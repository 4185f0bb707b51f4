import { join } from 'node:path';
import { openEngine } from '../engines/openEngine.js';
import type { ExportResult } from '../evaluation/results.js';
import { widthLabel } from '../nn/widthLabel.js';
import { replaceFile } from '../replaceFile.js';
import { makeModel, openExport, type ExportOptions } from './exportJob.js';
import { modelFile } from './form.js';
import { knownAccuracies } from './knownAccuracy.js';
import type { ManifestModel } from './manifest.js';
import { manifestModel } from './manifestModel.js';
import { recordExport } from './recordExport.js';
import type { ExternalData } from './sharedWeights.js';
import { convertedFacts, widthForms } from './widthForm.js';

export type { ExportOptions } from './exportJob.js';

/**
 * Exports a run: for each width a model, checked against the training side before it is written, whose name says what
 * it is (`modelFile`), described by `manifest.json` beside it and recorded in `results/export.json` of the run folder.
 * In a precision other than float32 it is calibrated on training images and measured on labelled ones before that
 * (`Conversion`). Throws a UsageError for a width that the run does not have, for images that are not there and for a
 * classifier that is missing or was trained on another checkpoint, a SlimclrError for a model that does not agree with
 * the training side.
 */
export async function exportRun(runFolder: string, options: ExportOptions = {}): Promise<ExportResult> {
  const job = await openExport(runFolder, options);
  const { run, subject, output } = job;
  const { config } = subject;
  const described: ManifestModel[] = [];
  const accuracyOf = await knownAccuracies(run, options);
  const written = new Set<ExternalData>();
  const writeOnce = async (data: ExternalData) => {
    if (!written.has(data)) await replaceFile(join(output, data.file), data.bytes);
    written.add(data);
  };
  const engine = await openEngine(config.runtime);
  try {
    const formOf = await widthForms(job, engine, options);
    for (const width of job.widths) {
      const { subject, conversion } = await formOf(width);
      const { form } = subject;
      options.onProgress?.(`exporting ${widthLabel(width)}`);
      const made = await makeModel({ ...job, subject }, width, engine);
      const file = modelFile(config.encoder.name, width, form);
      if (made.externalData) await writeOnce(made.externalData);
      await replaceFile(join(output, file), made.bytes);
      const known = accuracyOf(width, form);
      described.push({
        ...manifestModel({ ...job, subject }, width, file, made, known),
        ...(conversion && convertedFacts(conversion)),
      });
    }
  } finally {
    await engine.close();
  }
  return recordExport(job, described, options);
}
