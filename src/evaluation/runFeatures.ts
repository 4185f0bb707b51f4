import type { DatasetSplit } from '../data/dataset.js';
import type { Engine } from '../engines/engine.js';
import type { Notices } from '../keep.js';
import { bytesOf, formatType } from '../onnx/model.js';
import type { Weights } from '../programs/bindWeights.js';
import { embedProgram } from '../programs/embed.js';
import { initialWeights } from '../programs/initialWeights.js';
import { widthLabel } from '../nn/widthLabel.js';
import { calibrate } from './calibrate.js';
import type { Evaluation } from './evaluation.js';
import { cacheKey, FeatureCache, type FeatureSlot } from './featureCache.js';
import { extractFeatures, FrozenEncoder, type Features } from './features.js';
import { requireFiniteRows } from './finite.js';
import type { LabelledImages } from './labelledImages.js';
import type { TrainedRun } from './trainedRun.js';

/** Features of the images of both splits under one encoder at one width. */
export type SplitFeatures = Readonly<Record<DatasetSplit, Features>>;

/** Who follows an evaluation. */
export interface Watch extends Notices {
  /** Told what takes long; the next message replaces it. */
  readonly onProgress?: (message: string) => void;
  /** Aborting it ends the evaluation with the reason, after the current batch, epoch or width. */
  readonly signal?: AbortSignal;
}

/** An encoder whose features are asked for, and what makes cached ones its own. */
export interface EncoderSetup {
  readonly kind: FeatureSlot['encoder'];
  readonly weights: Weights;
  /** What changes the features, other than these weights and the images. */
  readonly identity: string;
  /** The weights that the features are computed with, at some of the widths. */
  readonly prepare: (widths: readonly number[]) => Promise<Weights>;
}

/** What features depend on beside the parts of a key, such as the crop; a change makes older files stale. */
const keyFormat = 'slimclr features 3';

/** The features at one width under the run's encoder, from the cache alone; null where it does not have them. */
export async function cachedFeatures(
  run: TrainedRun,
  images: Pick<LabelledImages, DatasetSplit>,
  width: number,
): Promise<SplitFeatures | null> {
  const cache = new FeatureCache(run.folder);
  const requests = requestsOf(run, images, trainedEncoder(run), width);
  const [train, test] = await Promise.all(
    requests.map(async (request) =>
      checkedFeatures(await cache.read(request.slot, request.key), request, images),
    ),
  );
  return train && test ? { train, test } : null;
}

/** The run's encoder. */
export function trainedEncoder({ weights }: TrainedRun): EncoderSetup {
  return { kind: 'trained', weights, identity: '', prepare: () => Promise.resolve(weights) };
}

/**
 * The encoder with the random weights of the run's seed, which its training started from unless it was given others,
 * its batch norms calibrated on the training images: what an architecture is worth untrained. NOTE: as initialised, the
 * last gamma of each residual branch is 0, so the branches do not contribute.
 */
export function randomEncoder(
  { config, network }: TrainedRun,
  { train }: LabelledImages,
  watch: Watch,
  engine: Engine,
): EncoderSetup {
  const { seed, batchSize } = config;
  const weights = initialWeights(network.declarations, seed);
  return {
    kind: 'random',
    weights,
    identity: `calibrated on ${train.identity} batch ${batchSize} seed ${seed}`,
    async prepare(missing) {
      const report = progressOf(watch, 'calibrating the random encoder', train.length);
      const statistics = await calibrate(network, config, missing, weights, train, report, engine);
      return new Map([...weights, ...statistics]);
    },
  };
}

/** Features under an encoder at all widths, in the config's order; from the run folder's cache where it has them. */
export async function encoderFeatures(
  { run, images, cache, engine }: Evaluation,
  setup: EncoderSetup,
  watch: Watch,
): Promise<SplitFeatures[]> {
  const { config, network } = run;
  const requests = config.widths.flatMap((width) => requestsOf(run, images, setup, width));
  const read = await Promise.all(
    requests.map(async (request) => ({
      ...request,
      features: checkedFeatures(await cache.read(request.slot, request.key), request, images),
    })),
  );
  const found = new Map(read.map(({ width, split, features }) => [`${split} ${width}`, features]));
  const missing = read.filter(({ features }) => !features);
  if (missing.length > 0) {
    const weights = await setup.prepare([...new Set(missing.map(({ width }) => width))]);
    for (const split of ['train', 'test'] as const) {
      const wanted = missing.filter((request) => request.split === split);
      if (wanted.length === 0) continue;
      const encoders = await Promise.all(
        wanted.map(({ width }) => FrozenEncoder.open(network, config, width, weights, engine)),
      );
      try {
        const what = `features of ${split} images, ${setup.kind} encoder`;
        const report = progressOf(watch, what, images[split].length);
        const computed = await extractFeatures(images[split], config, encoders, report);
        for (const [i, features] of computed.entries()) {
          const { slot, key, width } = wanted[i]!;
          await cache.write(slot, key, features);
          found.set(`${split} ${width}`, features);
        }
      } finally {
        await Promise.all(encoders.map((encoder) => encoder.close()));
      }
    }
  }
  return config.widths.map((width) => ({
    train: found.get(`train ${width}`)!,
    test: found.get(`test ${width}`)!,
  }));
}

/** What the cache has; throws a SlimclrError for features that are not finite, which older versions kept. */
function checkedFeatures(
  features: Features | null,
  { width, split }: { readonly width: number; readonly split: DatasetSplit },
  images: Pick<LabelledImages, DatasetSplit>,
): Features | null {
  if (!features) return null;
  const origin = { width, source: images[split] };
  requireFiniteRows(features.data, features.channels, 'features', origin);
  return { ...features, origin };
}

/** Where the cache has the features at a width, training images first. */
function requestsOf(
  run: TrainedRun,
  images: Pick<LabelledImages, DatasetSplit>,
  setup: EncoderSetup,
  width: number,
) {
  const encoder = encoderKey(run, width, setup);
  return (['train', 'test'] as const).map((split) => ({
    width,
    split,
    slot: { encoder: setup.kind, split, label: widthLabel(width) },
    key: cacheKey([encoder, images[split].identity]),
  }));
}

/** Identity of an encoder at a width: the tensors it reads, and how images are put before it. */
function encoderKey(
  { config, network }: TrainedRun,
  width: number,
  { weights, identity }: EncoderSetup,
): string {
  const { imageSize, mean, std, depth } = config.data;
  const parts: (string | Uint8Array)[] = [
    keyFormat,
    identity,
    JSON.stringify({ imageSize, mean, std, ...(depth !== 8 && { depth }) }),
  ];
  for (const { name } of embedProgram(network, config, width).graph.defaults.keys()) {
    const tensor = weights.get(name);
    if (tensor) parts.push(name, formatType(tensor), bytesOf(tensor.data));
  }
  return cacheKey(parts);
}

/** Reports about every tenth of the way. */
export function progressOf(watch: Watch, what: string, total: number): (done: number) => void {
  let reported = 0;
  return (done) => {
    watch.signal?.throwIfAborted();
    const tenth = Math.floor((10 * done) / total);
    if (tenth <= reported) return;
    reported = tenth;
    watch.onProgress?.(`${what}: ${done} of ${total}`);
  };
}

/** Reports what is being done, unless it is to end. */
export function report({ onProgress, signal }: Watch, what: string): void {
  signal?.throwIfAborted();
  onProgress?.(what);
}
