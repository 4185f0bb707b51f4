import { dirname, resolve } from 'node:path';
import { counted } from '../counted.js';
import { UsageError } from '../errors.js';
import { epochLength } from './batchOrder.js';
import { nameFrom, slashed } from './commonFolder.js';
import { encodedCount, encodedName, nameIn, type MixedImages } from './encodedImages.js';
import { hashLines } from './hashLines.js';
import { contentFingerprint } from './imageFolder.js';
import { encodedSource, subset, type ImageSource, type SourceOptions } from './imageSource.js';
import { sharedUint32 } from './packedStrings.js';
import { select } from './selection.js';
import { readMix, type MixedSource } from './sourceMix.js';

/** Images of an epoch at most. */
const mostVisits = 2 ** 28;

/**
 * The images of several sources, those of one after those of the other. Classes are united by their names, those of the
 * first source first. An image of several sources is there once, with the sum of their weights and the first of its
 * classes. `open`: `openSource`.
 * @throws UsageError for a file that cannot be read, and for what `open` does not open.
 */
export async function openMix(
  path: string,
  options: SourceOptions,
  open: (name: string, options: SourceOptions) => Promise<ImageSource>,
): Promise<ImageSource> {
  const { limit = 0, seed = 0 } = options;
  const mix = await readMix(path);
  const sources: ImageSource[] = [];
  for (const { source } of mix) sources.push(await open(source, { ...options, limit: 0 }));
  const root = dirname(path);
  const images = mixed(root, mix, sources);
  const { classes, labelsOf } = united(sources);
  const { selection, labels, weights, repeated } = joined(images, mix, sources, labelsOf);
  const notices = sources.flatMap((source) => source.notices);
  if (repeated > 0) {
    notices.push(
      `${path}: ${counted(repeated, 'image')} of more than one source, which count once, with the sum of the weights`,
    );
  }
  const known = mix.map(({ weight }, i) => `${sources[i]!.fingerprint}\0${weight}`);
  const all = encodedSource(
    path,
    {
      images,
      selection,
      labels: classes.length === 0 ? null : labels,
      classes: classes.length === 0 ? null : classes,
      fingerprint: contentFingerprint(repeated === 0 ? known : [...known, selection.join(',')]),
      earlierFingerprint: null,
      identity: hashLines(sources.map(({ identity }) => identity)),
      skipped: sources.flatMap(({ skipped }, i) =>
        skipped.map((file) => ({ ...file, path: nameIn(images.places[i]!, file.path) })),
      ),
      ignored: null,
      notices,
    },
    options,
  );
  const weighted = { ...all, ...(weights.some((weight) => weight !== 1) && { weights }) };
  const visits = epochLength(weighted);
  if (visits > mostVisits) {
    throw new UsageError(
      `${path}: the weights make ${visits} images of an epoch; accepted: at most ${mostVisits}, by smaller weights`,
    );
  }
  return limit === 0 || limit >= all.length ? weighted : subset(weighted, select(all.length, limit, seed));
}

function mixed(root: string, mix: readonly MixedSource[], sources: readonly ImageSource[]): MixedImages {
  const parts = sources.map(({ store }) => store.images);
  const firsts = sharedUint32(parts.length + 1);
  for (const [i, part] of parts.entries()) firsts[i + 1] = firsts[i]! + encodedCount(part);
  const places = parts.map((part, i) => {
    // Names stay what they are where the file and what it names are moved together.
    return mix[i]!.isRelative ? nameFrom(root, part.root) : slashed(part.root);
  });
  return { kind: 'mixed', root, parts, places, firsts };
}

/** Classes of all sources, and what those of a source are among them. */
function united(sources: readonly ImageSource[]) {
  const classes = [...new Set(sources.flatMap((source) => source.classes ?? []))];
  const indices = new Map(classes.map((name, index) => [name, index]));
  const labelsOf = sources.map((source) => (source.classes ?? []).map((name) => indices.get(name)!));
  return { classes, labelsOf };
}

/** Each image once: where it stands in `images`, its class, how often it comes, and how many there are of several sources. */
function joined(
  images: MixedImages,
  mix: readonly MixedSource[],
  sources: readonly ImageSource[],
  labelsOf: readonly (readonly number[])[],
) {
  const most = sources.reduce((sum, { length }) => sum + length, 0);
  const selection = new Uint32Array(most);
  const labels = new Int32Array(most);
  const weights = new Float32Array(most);
  const positions = new Map<string, number>();
  const ofSeveral = new Set<number>();
  let count = 0;
  for (const [i, { store, labels: own, length }] of sources.entries()) {
    for (let index = 0; index < length; index++) {
      const at = store.selection[index]!;
      const label = own && own[index]! >= 0 ? labelsOf[i]![own[index]!]! : -1;
      const name = resolve(images.root, nameIn(images.places[i]!, encodedName(store.images, at)));
      const before = positions.get(name);
      if (before !== undefined) {
        weights[before]! += mix[i]!.weight;
        if (labels[before]! < 0) labels[before] = label;
        ofSeveral.add(before);
        continue;
      }
      positions.set(name, count);
      selection[count] = images.firsts[i]! + at;
      labels[count] = label;
      weights[count++] = mix[i]!.weight;
    }
  }
  return {
    selection: selection.subarray(0, count),
    labels: labels.subarray(0, count),
    weights: weights.slice(0, count),
    repeated: ofSeveral.size,
  };
}
