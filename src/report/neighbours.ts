import { join } from 'node:path';
import type { ImageSource } from '../data/source.js';
import { SlimclrError } from '../errors.js';
import type { Features } from '../evaluation/features.js';
import { openLabelledImages } from '../evaluation/labelledImages.js';
import type { KnnResult } from '../evaluation/results.js';
import { cachedFeatures } from '../evaluation/runFeatures.js';
import { openTrainedRun } from '../evaluation/trainedRun.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { ReportOptions } from './options.js';
import { thumbnail } from './thumbnail.js';

/** A test image and the training images that are nearest to it at each width. */
export interface QueryNeighbours {
  /** Data URI. */
  readonly image: string;
  readonly className: string;
  readonly widths: readonly { readonly label: string; readonly neighbours: readonly SimilarImage[] }[];
}

export interface SimilarImage {
  /** Data URI. */
  readonly image: string;
  readonly className: string;
  readonly sameClass: boolean;
  readonly cosine: number;
}

/** Queries, and neighbours of each. */
const [queryCount, neighbourCount] = [6, 5];

/**
 * Neighbours of one test image of each of the first classes, by cosine of the features that the evaluation `knn`
 * left in the run folder. Throws a SlimclrError when the images or the features are not there any more.
 */
export async function queryNeighbours(
  runFolder: string,
  { checkpoint, source, testSource, heldOut, trainImages, testImages }: KnnResult,
  options: ReportOptions = {},
): Promise<QueryNeighbours[]> {
  const run = await openTrainedRun(runFolder, join(runFolder, checkpoint));
  const { train, test, classes } = await openLabelledImages(run.config, {
    ...options,
    offline: true,
    source,
    ...(heldOut ? { heldOut } : { testSource }),
    limit: trainImages,
    testLimit: testImages,
  });
  const queries = firstOfEachClass(test.labels, queryCount);
  const rows: { label: string; nearest: Nearest[][] }[] = [];
  for (const width of run.config.widths) {
    const features = await cachedFeatures(run, { train, test }, width);
    if (features === null) {
      throw new SlimclrError(
        `the features of width ${width} of these images under ${checkpoint} are not kept`,
      );
    }
    const nearest = queries.map((query) => nearestRows(features.test, query, features.train, neighbourCount));
    rows.push({ label: widthLabel(width), nearest });
  }
  const images = new Thumbnails(train);
  const nameOf = (label: number) => classes[label] ?? String(label);
  const found: QueryNeighbours[] = [];
  for (const [i, query] of queries.entries()) {
    const label = test.labels[query]!;
    const widths = rows.map(async (row) => ({
      label: row.label,
      neighbours: await Promise.all(
        row.nearest[i]!.map(async ({ index, cosine }) => ({
          image: await images.of(index),
          className: nameOf(train.labels[index]!),
          sameClass: train.labels[index] === label,
          cosine,
        })),
      ),
    }));
    const image = await thumbnail(await test.read(query));
    found.push({ image, className: nameOf(label), widths: await Promise.all(widths) });
  }
  return found;
}

/** Each image is decoded once: a neighbour at one width is often one at the others. */
class Thumbnails {
  readonly #known = new Map<number, Promise<string>>();

  constructor(private readonly source: ImageSource) {}

  of(index: number): Promise<string> {
    let image = this.#known.get(index);
    if (!image) {
      image = this.source.read(index).then(thumbnail);
      this.#known.set(index, image);
    }
    return image;
  }
}

/** Index of the first image of each class, by class, of at most `count` classes. */
export function firstOfEachClass(labels: Int32Array, count: number): number[] {
  const first = new Map<number, number>();
  for (const [i, label] of labels.entries()) if (label >= 0 && !first.has(label)) first.set(label, i);
  return [...first]
    .sort(([a], [b]) => a - b)
    .slice(0, count)
    .map(([, i]) => i);
}

export interface Nearest {
  readonly index: number;
  readonly cosine: number;
}

/** The `count` rows of `bank` whose cosine to a row of `queries` is largest, nearest first; equal ones in their order. */
export function nearestRows(queries: Features, query: number, bank: Features, count: number): Nearest[] {
  const { channels } = bank;
  const q = queries.data.subarray(query * channels, (query + 1) * channels);
  const length = Math.hypot(...q);
  const nearest: Nearest[] = [];
  for (let index = 0; index < bank.count; index++) {
    const start = index * channels;
    let [dot, squares] = [0, 0];
    for (let i = 0; i < channels; i++) {
      const x = bank.data[start + i]!;
      dot += x * q[i]!;
      squares += x * x;
    }
    const scale = length * Math.sqrt(squares);
    const cosine = scale === 0 ? 0 : dot / scale;
    if (nearest.length === count && cosine <= nearest.at(-1)!.cosine) continue;
    const place = nearest.findIndex((other) => other.cosine < cosine);
    nearest.splice(place < 0 ? nearest.length : place, 0, { index, cosine });
    if (nearest.length > count) nearest.pop();
  }
  return nearest;
}
