import { basename, join, resolve } from 'node:path';
import { pixelFormat } from '../config/schema.js';
import { isColour } from '../data/rawImage.js';
import type { ImageSource, SkippedFile } from '../data/source.js';
import { throttled } from '../data/throttled.js';
import { SlimclrError, UsageError } from '../errors.js';
import { readableImages } from '../embedding/embedImages.js';
import { openImageEncoder, type ImageEncoder } from '../embedding/imageEncoder.js';
import { requireFiniteRows } from '../evaluation/finite.js';
import { openTrainedRun, type TrainedRun } from '../evaluation/trainedRun.js';
import { exportRun } from '../export/exportRun.js';
import { modelFile, plainForm } from '../export/form.js';
import { exportManifestSchema, manifestFile, type ManifestModel } from '../export/manifest.js';
import type { Notices } from '../keep.js';
import { sha256File } from '../onnx/hash.js';
import { bytesOf } from '../onnx/model.js';
import { readJsonIfThere } from '../readJson.js';
import { ContactSheet } from './contactSheet.js';
import { encodeSample, openDemoImages } from './demoImages.js';
import type { DemoIndex, DemoSample, DemoWidth } from './demoIndex.js';
import { renderDemo } from './html.js';
import { moduleFiles, runtimeFiles } from './pageFiles.js';
import type { Site, SiteFile } from './site.js';

export interface DemoOptions extends Notices {
  /** Images that neighbours are found among, at most; default 1000. */
  readonly images?: number;
  /** Where they come from, a data set or a folder; default: the images of the run. */
  readonly source?: string;
  readonly cacheDirectory?: string;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * The page that shows a run: models of all its widths, from its `export` folder, where they are written if they are not
 * there, and features and thumbnails of images, computed now. Throws the errors of `exportRun`.
 */
export async function buildDemo(runFolder: string, options: DemoOptions = {}): Promise<Site> {
  const { images: limit = 1000, source, cacheDirectory, onProgress, onNotice, signal } = options;
  const run = await openTrainedRun(runFolder);
  const pixels = pixelFormat(run.config);
  if (!isColour(pixels)) {
    throw new UsageError(
      `${runFolder}: browsers show no images of ${pixels.channels} channels; accepted: a run of data.channels 1 or 3`,
    );
  }
  const open = {
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
  };
  const { bank, samples } = await openDemoImages(run.config, source, limit, open);
  for (const line of bank.notices) onNotice?.(line);
  const models = await exportedModels(run, options);
  signal?.throwIfAborted();

  const site = new Map<string, SiteFile>([...(await moduleFiles('demo/page/page.js')), ...runtimeFiles()]);
  const folder = join(runFolder, 'export');
  for (const { file, externalData } of models) {
    for (const name of [file, ...(externalData ? [externalData.file] : [])]) {
      site.set(`models/${name}`, { source: join(folder, name) });
    }
  }
  const manifest = { kind: 'slimclr-export', version: 1, models };
  site.set('models/manifest.json', { content: JSON.stringify(manifest) });

  const { sheet, features, rows, skipped } = await describeImages(run, bank, models, options);
  if (skipped.length > 0) {
    const { path, reason } = skipped[0]!;
    onNotice?.(`not shown: ${skipped.length} that cannot be read, the first ${path} (${reason})`);
  }
  const widths = models.map(({ width, label, file, accuracy }, i): DemoWidth => {
    const { channels, data } = features[i]!;
    const path = `index/features.${label}.bin`;
    site.set(path, { content: bytesOf(data) });
    return { width, model: file, features: path, channels, knn: accuracy.knn?.top1 ?? null };
  });
  const { labels, classes } = bank;
  const index: DemoIndex = {
    title: basename(resolve(runFolder)),
    manifest: 'models/manifest.json',
    widths: widths.reverse(),
    count: rows.length,
    labels: labels && rows.map((row) => labels[row]!),
    classes: classes ?? [],
    sheet: { file: 'index/images.jpg', side: sheet.side, columns: sheet.columns },
    samples: await putSamples(site, samples),
  };
  site.set(index.sheet.file, { content: await sheet.encode(rows.length) });
  site.set('index/demo.json', { content: JSON.stringify(index) });
  site.set('index.html', { content: renderDemo(index) });
  return site;
}

/** The float32 model of each width, widest first, as the manifest of the run's `export` folder has it. */
async function exportedModels(
  { folder, config, sha256 }: TrainedRun,
  { source, cacheDirectory, onProgress, onNotice }: DemoOptions,
): Promise<ManifestModel[]> {
  const names = config.widths.map((width) => modelFile(config.encoder.name, width, plainForm));
  const found = async () => {
    const manifest = await readJsonIfThere(join(folder, 'export', manifestFile), exportManifestSchema);
    const models = names.map((name) => manifest?.models.find(({ file }) => file === name));
    const current = await Promise.all(
      models.map(async (model) => {
        if (model?.checkpoint !== sha256) return null;
        // Another file of that name would not be what the page expects.
        const inPlace = await sha256File(join(folder, 'export', model.file)).catch(() => null);
        return inPlace === model.sha256 ? model : null;
      }),
    );
    return current.every((model) => model !== null) ? current : null;
  };
  const there = await found();
  if (there) return there;
  await exportRun(folder, {
    ...(source !== undefined && { source }),
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    ...(onProgress && { onProgress }),
    ...(onNotice && { onNotice }),
  });
  const made = await found();
  if (!made) throw new SlimclrError(`${folder}: the models that were exported are not in its export folder`);
  return made;
}

interface DescribedImages {
  readonly sheet: ContactSheet;
  /** Of each model, of length 1. */
  readonly features: readonly { readonly channels: number; readonly data: Float32Array }[];
  /** Index in the source of each image that could be read. */
  readonly rows: readonly number[];
  readonly skipped: readonly SkippedFile[];
}

async function describeImages(
  { folder, config }: TrainedRun,
  bank: ImageSource,
  models: readonly ManifestModel[],
  { onProgress, signal }: DemoOptions,
): Promise<DescribedImages> {
  const progress = throttled(onProgress);
  const encoders: ImageEncoder[] = [];
  try {
    for (const { file } of models) encoders.push(await openImageEncoder(join(folder, 'export', file)));
    const sheet = ContactSheet.of(bank.length, config.data.imageSize);
    const parts: Float32Array[][] = encoders.map(() => []);
    const skipped = [...bank.skipped];
    const rows: number[] = [];
    for await (const { images, indices } of readableImages(bank, encoders[0]!.batch, skipped)) {
      signal?.throwIfAborted();
      progress(() => `features of ${bank.name}: ${rows.length} of ${bank.length} images`);
      await Promise.all(images.map((image, i) => sheet.put(rows.length + i, image)));
      for (const [i, encoder] of encoders.entries()) {
        const values = await encoder.features(images);
        const origin = { width: models[i]!.width, source: bank };
        requireFiniteRows(values, values.length / images.length, 'features', origin, (row) => indices[row]!);
        parts[i]!.push(normalized(values, values.length / images.length));
      }
      rows.push(...indices);
    }
    if (rows.length === 0) throw new SlimclrError(`no image of ${bank.name} can be read`);
    const features = parts.map((part) => {
      const data = new Float32Array(part.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const values of part) {
        data.set(values, at);
        at += values.length;
      }
      return { channels: data.length / rows.length, data };
    });
    return { sheet, features, rows, skipped };
  } finally {
    for (const encoder of encoders) await encoder.close();
  }
}

/** Rows of length 1, `[n, channels]`, so that a product is a cosine. */
function normalized(values: Float32Array, channels: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += channels) {
    const row = values.subarray(start, start + channels);
    const length = Math.hypot(...row) || 1;
    for (let c = 0; c < channels; c++) out[start + c] = row[c]! / length;
  }
  return out;
}

async function putSamples(site: Map<string, SiteFile>, samples: ImageSource): Promise<DemoSample[]> {
  const { labels, classes } = samples;
  const made: DemoSample[] = [];
  for await (const { images, indices } of readableImages(samples, 16, [])) {
    for (const [i, image] of images.entries()) {
      const file = `index/sample-${made.length}.png`;
      site.set(file, { content: await encodeSample(image) });
      made.push({ file, className: labels && (classes?.[labels[indices[i]!]!] ?? null) });
    }
  }
  return made;
}
