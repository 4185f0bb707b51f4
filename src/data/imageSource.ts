import type { DatasetSplit, FetchOptions } from './dataset.js';
import { encodedCount, type EncodedImages } from './encodedImages.js';
import type { IgnoredFiles } from './folderListing.js';
import { hashLines } from './hashLines.js';
import { imageName, readImage, type ImageStore, type SkippedFile } from './imageStore.js';
import { sharedInt32, sharedUint32 } from './packedStrings.js';
import { rgb8, type PixelFormat, type RawImage } from './rawImage.js';

export interface ImageSource {
  /** Of a data set, or the absolute path of a folder, a list of files, Parquet files or shards, as it was given. */
  readonly name: string;
  /** Images. */
  readonly length: number;
  /** Index into `classes` of each image; below 0 for one without a label, as label files leave them (`data.labels`). */
  readonly labels: Int32Array | null;
  readonly classes: readonly string[] | null;
  /** How often each image comes in an epoch of training, where sources are mixed with weights; absent: once. */
  readonly weights?: Float32Array;
  /**
   * What identifies the images wherever they are: a run is not to be resumed on others. Of a named data set, its
   * content. Of a folder or a list, the path in it, the size and the content of every image in use: the whole content of files of
   * up to 1 GiB / images, at least 48 KiB; of larger files 16 KiB at the beginning, the middle and the end, so that a
   * change elsewhere that keeps the size is not noticed. Of shards, the name in the archive, the class, the size and the
   * content of every image: up to 16 KiB whole, else the first and the last 4 KiB. Of Parquet files,
   * the pages that hold the images, as files of a folder, and the classes. Moving, copying or touching files
   * changes nothing.
   */
  readonly fingerprint: string;
  /** The fingerprint that earlier versions gave a folder, of names and sizes; null for what had none or cannot be known. */
  readonly earlierFingerprint: string | null;
  /**
   * The fingerprint, but strict, as cached features need it: files whose content is not read whole must be in the same
   * place with the same modification and change times, too.
   */
  readonly identity: string;
  /** What a person should know of the images before using them, one line each. */
  readonly notices: readonly string[];
  /** Files that were passed over; grows when a file turns out to be damaged while reading. */
  readonly skipped: readonly SkippedFile[];
  /** What a folder or shards hold beside their images; null for a named data set. */
  readonly ignored: IgnoredFiles | null;
  readonly store: ImageStore;
  /** What a person finds an image by: its path in the folder, or its number in the data set. */
  nameOf(index: number): string;
  /** A damaged file is recorded in `skipped` and replaced by the next readable one of its class. */
  read(index: number): Promise<RawImage>;
}

export interface SourceOptions extends FetchOptions {
  /** Of a named data set; default `train`. A folder has one split, all of it. */
  readonly split?: DatasetSplit;
  /** At most this many images, chosen by the seed; 0, the default, means all. */
  readonly limit?: number;
  readonly seed?: number;
  /** What the images are decoded to; default `rgb8`. Files of other channels are skipped. */
  readonly pixels?: PixelFormat;
  /** Aborting it ends the opening, within a second, with its reason. */
  readonly signal?: AbortSignal;
}

/** The images of a source at `indices`, in that order. */
export function subset(source: ImageSource, indices: Uint32Array): ImageSource {
  const { labels, store } = source;
  const chosen = labels && shareLabels(indices.length, (i) => labels[indices[i]!]!);
  const part = (whole: string) => hashLines([whole, `images ${indices.join(',')}`]);
  return makeSource({
    name: source.name,
    labels: chosen,
    classes: source.classes,
    ...(source.weights && { weights: Float32Array.from(indices, (index) => source.weights![index]!) }),
    fingerprint: part(source.fingerprint),
    earlierFingerprint: null,
    identity: part(source.identity),
    notices: source.notices,
    ignored: source.ignored,
    skipped: [...source.skipped],
    store: {
      ...store,
      selection: shareSelection(indices.length, (i) => store.selection[indices[i]!]!),
      labels:
        store.labels === labels
          ? chosen
          : store.labels && shareLabels(indices.length, (i) => store.labels![indices[i]!]!),
    },
  });
}

/** The source with other labels, which also say what may stand in for a damaged image. */
export function relabelled(
  source: ImageSource,
  labels: Int32Array,
  classes: readonly string[],
): ImageSource & { readonly labels: Int32Array } {
  const shared = shareLabels(labels.length, (i) => labels[i]!);
  const { store } = source;
  const own = { ...store, labels: shared };
  return { ...makeSource({ ...source, classes, skipped: [...source.skipped], store: own }), labels: shared };
}

/** What opening encoded images found, besides their name. */
export interface OpenedImages extends Pick<
  ImageSource,
  'labels' | 'classes' | 'fingerprint' | 'earlierFingerprint' | 'identity' | 'notices' | 'ignored'
> {
  readonly images: EncodedImages;
  /** Which of them are in use, in this order, with `labels` of these; default: all. */
  readonly selection?: Uint32Array;
  readonly skipped: SkippedFile[];
}

/** A source of what was opened. */
export function encodedSource(
  name: string,
  { images, selection, labels, ...found }: OpenedImages,
  { pixels = rgb8 }: Pick<SourceOptions, 'pixels'>,
): ImageSource {
  const count = encodedCount(images);
  const shared = labels && shareLabels(labels.length, (i) => labels[i]!);
  return makeSource({
    ...found,
    name,
    labels: shared,
    store: {
      images,
      selection: shareSelection(selection?.length ?? count, (i) => selection?.[i] ?? i),
      labels: shared,
      pixels,
    },
  });
}

function shareSelection(count: number, imageOf: (index: number) => number): Uint32Array {
  const selection = sharedUint32(count);
  for (let i = 0; i < count; i++) selection[i] = imageOf(i);
  return selection;
}

function shareLabels(count: number, labelOf: (index: number) => number): Int32Array {
  const labels = sharedInt32(count);
  for (let i = 0; i < count; i++) labels[i] = labelOf(i);
  return labels;
}

function makeSource(
  parts: Omit<ImageSource, 'length' | 'nameOf' | 'read' | 'skipped'> & { skipped: SkippedFile[] },
): ImageSource {
  const { store, skipped } = parts;
  const record = (file: SkippedFile) => {
    if (!skipped.some(({ path }) => path === file.path)) skipped.push(file);
  };
  return {
    ...parts,
    length: store.selection.length,
    nameOf: (index) => imageName(store, index),
    read: (index) => readImage(store, index, { onUnreadable: record }),
  };
}
