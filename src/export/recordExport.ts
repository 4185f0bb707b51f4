import { basename, join, relative, resolve } from 'node:path';
import type { ExportedModelRecord, ExportResult } from '../evaluation/results.js';
import type { ExportJob, ExportOptions } from './exportJob.js';
import { recordModels } from './exportRecord.js';
import type { ManifestModel } from './manifest.js';
import { mergeManifest } from './mergeManifest.js';
import { writeModelCard } from './modelCard.js';

/** Records models that were written: in the run folder's `results/export.json`, the manifest and the model card beside them. */
export async function recordExport(
  { run, output, subject: { config } }: Pick<ExportJob, 'run' | 'output' | 'subject'>,
  described: readonly ManifestModel[],
  options: ExportOptions,
): Promise<ExportResult> {
  const models = described.map((model): ExportedModelRecord => {
    const { label, width, size, head, classifier, bytes, parameters, multiplyAdds, latency } = model;
    return {
      ...{ label, width, size, head, classifier },
      file: relative(run.folder, join(output, model.file)),
      checkpoint: run.checkpoint,
      ...{ bytes, parameters, multiplyAdds },
      latency: latency!.milliseconds,
      provider: latency!.provider,
      threads: latency!.threads,
      maxRelativeError: model.maxRelativeError,
    };
  });
  const result: ExportResult = { kind: 'export', version: 2, models };
  await recordModels(run.folder, result, options);
  const published = { name: basename(resolve(run.folder)), encoder: config.encoder.name, method: config.method.kind }; // prettier-ignore
  const manifest = await mergeManifest(output, { ...published, checkpoint: run.sha256 }, described, options);
  await writeModelCard(output, manifest, options);
  return result;
}
