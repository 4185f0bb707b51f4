import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Config } from '../config/schema.js';
import { evaluationBatches } from '../data/evaluationBatches.js';
import type { SourceOptions } from '../data/source.js';
import { threadCount } from '../engines/engineOptions.js';
import { floats } from '../engines/hostGraph.js';
import { openEngine } from '../engines/openEngine.js';
import { UsageError } from '../errors.js';
import { readClassifiers, type ProbeClassifiers } from '../evaluation/classifiers.js';
import type { Notices } from '../keep.js';
import { needsOf } from '../methods/index.js';
import { replaceFile } from '../replaceFile.js';
import type { ExportResult, ProbeProtocol } from '../evaluation/results.js';
import { openRunImages } from '../evaluation/runImages.js';
import { chosenWidths, openTrainedRun, type TrainedRun } from '../evaluation/trainedRun.js';
import { widthLabel } from '../nn/widthLabel.js';
import { exportModel, type ExportClassifier, type ExportSubject } from './exportModel.js';
import { modelFile, recordModels } from './exportRecord.js';
import { timeExport, verifyExport } from './verifyExport.js';

export interface ExportOptions extends Notices {
  /** Widths to export, as the config has them; default all. */
  readonly widths?: readonly number[];
  /** Folder of the models; default `export` in the run folder. */
  readonly output?: string;
  /** Path of a checkpoint; default: the newest of the run. */
  readonly checkpoint?: string;
  /** Add the output `logits` of a linear probe's classifier: of this protocol, `true` meaning `features`. */
  readonly classifier?: boolean | ProbeProtocol;
  /** Add the output `embedding` of the head, such as a SEED teacher needs. */
  readonly head?: boolean;
  /** Side of the images that the models take, in pixels; default data.imageSize. */
  readonly size?: number;
  /** Check the models against the training side on images; default true. Else their metadata says so. */
  readonly verify?: boolean;
  /** Images to verify on, a data set or a folder; default: those of the run. */
  readonly source?: string;
  readonly cacheDirectory?: string;
  readonly onProgress?: (message: string) => void;
}

/** Images that every exported model is checked on. */
const verificationImages = 32;

/**
 * Exports a run: for each width a model, checked against the training side before it is written, whose name says what
 * it is (`modelFile`), recorded in `results/export.json` of the run folder.
 * Throws a UsageError for a width that the run does not have, for images that are not there and for a classifier that
 * is missing or was trained on another checkpoint, a SlimclrError for a model that does not agree with the training
 * side.
 */
export async function exportRun(runFolder: string, options: ExportOptions = {}): Promise<ExportResult> {
  const { output = join(runFolder, 'export'), head = false, verify = true, onProgress } = options;
  if (!verify && options.source !== undefined) {
    throw new UsageError(`export: ${options.source} are images to verify on, and nothing is to be verified`);
  }
  const run = await openTrainedRun(runFolder, options.checkpoint);
  const { network, weights } = run;
  const size = options.size === run.config.data.imageSize ? null : (options.size ?? null);
  const config = withSize(run.config, size);
  if (head && !needsOf(config).embedding) {
    throw new UsageError(
      `${runFolder}: a ${config.method.kind} run has no embedding; accepted: a run of another method`,
    );
  }
  const widths = chosenWidths(config.widths, options.widths);
  const classifier = options.classifier === true ? 'features' : options.classifier || null;
  const probe = classifier ? await matchingClassifiers(run, classifier) : null;
  const images = verify ? await readImages(config, options) : null;
  const subject: ExportSubject = { network, config, weights, checkpoint: run.sha256, head };
  const models: ExportResult['models'][number][] = [];
  const engine = await openEngine(config.runtime);
  try {
    for (const width of widths) {
      const label = widthLabel(width);
      const identity = { width, size, head, classifier };
      const path = join(output, modelFile(config.encoder.name, identity));
      onProgress?.(`exporting ${label}`);
      const scores = probe && classifierOf(probe, label);
      const { bytes, parameters, multiplyAdds } = exportModel(subject, width, scores ?? undefined, verify);
      const { maxRelativeError, latency } = images
        ? await verifyExport(bytes, subject, width, images.tensor, scores?.classifier, images.source, engine)
        : { maxRelativeError: null, latency: await timeExport(bytes, config, width, engine) };
      await replaceFile(path, (partial) => writeFile(partial, bytes));
      models.push({
        label,
        ...identity,
        file: relative(runFolder, path),
        checkpoint: run.checkpoint,
        bytes: bytes.length,
        parameters,
        multiplyAdds,
        latency,
        provider: config.runtime.provider,
        threads: threadCount(config.runtime),
        maxRelativeError,
      });
    }
  } finally {
    await engine.close();
  }
  const result: ExportResult = { kind: 'export', version: 2, models };
  await recordModels(runFolder, result, options);
  return result;
}

export function withSize(config: Config, size: number | null): Config {
  if (size === null) return config;
  return { ...config, data: { ...config.data, imageSize: size } };
}

export async function matchingClassifiers(
  { folder, sha256, checkpoint }: TrainedRun,
  protocol: ProbeProtocol,
): Promise<ProbeClassifiers> {
  const probe = await readClassifiers(folder, protocol);
  if (probe.checkpoint === sha256) return probe;
  throw new UsageError(
    `the linear probe in ${folder} was trained on another checkpoint than ${checkpoint}; ` +
      'accepted: a probe of the checkpoint that is exported',
  );
}

export function classifierOf({ classes, classifiers }: ProbeClassifiers, label: string): ExportClassifier {
  const classifier = classifiers.get(label);
  if (!classifier) throw new UsageError(`the linear probe has no classifier of ${label}`);
  return { classifier, classes };
}

/** Images of the run's source or of another one, as its encoder gets them: `[n, 3, S, S]`. */
export async function readImages(
  { data, seed }: Config,
  { cacheDirectory, source: other, onNotice }: ExportOptions,
) {
  const options: SourceOptions = {
    split: 'test',
    limit: verificationImages,
    seed,
    ...(cacheDirectory !== undefined && { cacheDirectory }),
  };
  const instead = 'other images to verify on (--source), or no verification (--no-verify)';
  const source = await openRunImages(data.source, other, options, instead);
  for (const line of source.notices) onNotice?.(line);
  const { imageSize, mean, std } = data;
  const batches = evaluationBatches(source, { imageSize, mean, std, batchSize: source.length });
  const { value } = await batches.next();
  return { source, tensor: floats(value!.images, [value!.count, 3, imageSize, imageSize]) };
}
