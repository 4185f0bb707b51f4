import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Config } from '../config/schema.js';
import { evaluationBatches } from '../data/evaluationBatches.js';
import { openSource } from '../data/source.js';
import { UsageError } from '../errors.js';
import { readClassifiers, type ProbeClassifiers } from '../evaluation/classifiers.js';
import { writeResult } from '../evaluation/resultFiles.js';
import { replaceFile } from '../replaceFile.js';
import type { ExportResult, ProbeProtocol } from '../evaluation/results.js';
import { chosenWidths, openTrainedRun, type TrainedRun } from '../evaluation/trainedRun.js';
import { widthLabel } from '../programs/manifest.js';
import { floatTensor, threadCount } from '../runtime/session.js';
import { exportModel, type ExportClassifier, type ExportSubject } from './exportModel.js';
import { verifyExport } from './verifyExport.js';

export interface ExportOptions {
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
  readonly cacheDirectory?: string;
  readonly onProgress?: (message: string) => void;
}

/** Images that every exported model is checked on. */
const verificationImages = 32;

/**
 * Exports a run: for each width `<encoder>.<label>.onnx`, checked against the training side before it is
 * written, and `results/export.json` in the run folder.
 * Throws a UsageError for a width that the run does not have and for a classifier that is missing or was trained
 * on another checkpoint, a SlimclrError for a model that does not agree with the training side.
 */
export async function exportRun(runFolder: string, options: ExportOptions = {}): Promise<ExportResult> {
  const { output = join(runFolder, 'export'), head = false, size, onProgress } = options;
  const run = await openTrainedRun(runFolder, options.checkpoint);
  const { network, weights } = run;
  const config = withSize(run.config, size);
  if (head && config.method.kind === 'supervised') {
    throw new UsageError(
      `${runFolder}: a supervised run has no embedding; accepted: a run of another method`,
    );
  }
  const widths = chosenWidths(config.widths, options.widths);
  const { classifier: protocol } = options;
  const probe = protocol ? await matchingClassifiers(run, protocol === true ? 'features' : protocol) : null;
  const { images, source } = await readImages(config, options);
  const subject: ExportSubject = { network, config, weights, checkpoint: run.sha256, head };
  const models: ExportResult['models'][number][] = [];
  for (const width of widths) {
    const label = widthLabel(width);
    const path = join(output, `${config.encoder.name}.${label}.onnx`);
    onProgress?.(`exporting ${label}`);
    const classifier = probe && classifierOf(probe, label);
    const { bytes, parameters, multiplyAdds } = exportModel(subject, width, classifier ?? undefined);
    const verification = await verifyExport(bytes, subject, width, images, classifier?.classifier, source);
    await replaceFile(path, (partial) => writeFile(partial, bytes));
    models.push({
      label,
      width,
      file: relative(runFolder, path),
      bytes: bytes.length,
      parameters,
      multiplyAdds,
      ...verification,
    });
  }
  const result: ExportResult = {
    kind: 'export',
    checkpoint: run.checkpoint,
    provider: config.runtime.provider,
    threads: threadCount(config.runtime),
    models,
  };
  await writeResult(runFolder, result);
  return result;
}

function withSize(config: Config, size: number | undefined): Config {
  if (size === undefined) return config;
  return { ...config, data: { ...config.data, imageSize: size } };
}

async function matchingClassifiers(
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

function classifierOf({ classes, classifiers }: ProbeClassifiers, label: string): ExportClassifier {
  const classifier = classifiers.get(label);
  if (!classifier) throw new UsageError(`the linear probe has no classifier of ${label}`);
  return { classifier, classes };
}

/** Images of the run's source, as its encoder gets them: `[n, 3, S, S]`. */
async function readImages({ data, seed }: Config, { cacheDirectory }: ExportOptions) {
  const source = await openSource(data.source, {
    split: 'test',
    limit: verificationImages,
    seed,
    ...(cacheDirectory !== undefined && { cacheDirectory }),
  });
  const { imageSize, mean, std } = data;
  const batches = evaluationBatches(source, { imageSize, mean, std, batchSize: source.length });
  const { value } = await batches.next();
  return { source, images: floatTensor(value!.images, [value!.count, 3, imageSize, imageSize]) };
}
