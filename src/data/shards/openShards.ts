import { opendir, stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { counted } from '../../counted.js';
import { reasonOf, UsageError } from '../../errors.js';
import { isAbsent } from '../../plainFile.js';
import { defaultCacheDirectory } from '../cacheDirectory.js';
import { placed } from '../commonFolder.js';
import { forEachConcurrently } from '../concurrency.js';
import { imageExtensions } from '../folderListing.js';
import { hashLines } from '../hashLines.js';
import { contentFingerprint, describeIgnored } from '../imageFolder.js';
import type { SkippedFile } from '../imageStore.js';
import { joinStrings, packStrings, sharedUint32 } from '../packedStrings.js';
import { rgb8 } from '../rawImage.js';
import { select, selectionIdentity } from '../selection.js';
import type { OpenedImages, SourceOptions } from '../source.js';
import type { OpenedShard } from './openShard.js';
import { scanShards } from './scanShards.js';
import { pruneIndices } from './shardCache.js';
import { classNames, shardLabels } from './shardClasses.js';
import type { ShardImages } from './shardImages.js';
import { shardPaths } from './shardNames.js';
import type { ShardScanReply } from './shardWorker.js';

/** Whether a folder is one of shards: it holds files `.tar`, no images and no folders. */
export async function isShardFolder(folder: string): Promise<boolean> {
  let shards = 0;
  // A link whose name says nothing may lead to a folder.
  const isFolder = (name: string) =>
    stat(join(folder, name)).then(
      (status) => status.isDirectory(),
      () => false,
    );
  for await (const entry of await opendir(folder)) {
    const { name } = entry;
    if (name.startsWith('.')) continue;
    const extension = extname(name).toLowerCase();
    if (extension === '.tar') shards++;
    else if (imageExtensions.includes(extension) || entry.isDirectory()) return false;
    else if (!entry.isFile() && (await isFolder(name))) return false;
  }
  return shards > 0;
}

/**
 * Open the shards that `source` names (`shardPaths`), an absolute path: index those whose indices are not in the cache, choose
 * among their images. What cannot be used of them is skipped.
 * @throws UsageError when one of them does not exist, or none has an image that can be read.
 */
export async function openShards(
  source: string,
  options: SourceOptions,
  paths?: readonly string[],
): Promise<OpenedImages> {
  const { limit = 0, seed = 0, pixels = rgb8, onProgress, signal } = options;
  paths ??= await shardPaths(source);
  await requireAll(source, paths);
  const { directory, fault } = cacheOf(options);
  const replies = await scanShards(paths, {
    cacheDirectory: directory,
    pixels,
    onFound: (shards, images) =>
      onProgress?.(`indexing shards of ${source}: ${shards} of ${paths.length}, ${images} images`),
    signal,
  });

  const isNew = (reply: ShardScanReply) => !('error' in reply) && !reply.kept;
  if (directory !== null && replies.some(isNew)) await pruneIndices(directory);
  const { root, names } = placed(paths);
  const skipped: SkippedFile[] = [];
  const opened: (OpenedShard & { readonly path: string; readonly name: string })[] = [];
  for (const [i, reply] of replies.entries()) {
    if ('error' in reply) {
      skipped.push({ path: names[i]!, reason: reply.error });
      continue;
    }
    opened.push({ ...reply, path: paths[i]!, name: names[i]! });
    for (const { path, reason } of reply.index.skipped) {
      skipped.push({ path: path === '' ? names[i]! : `${names[i]}/${path}`, reason });
    }
  }
  const images = joinShards(root, opened);
  const count = images.sizes.length;
  const ignored = { extensions: new Map(), folders: new Map(), hidden: 0, others: othersOf(opened) };
  const passedOver = describeIgnored(ignored);
  if (count === 0) throw noImages(source, skipped, passedOver);

  const { labels, classes, notice } = shardLabels(
    opened.map(({ index }) => index),
    await classNames(dirname(paths[0]!)),
  );
  const selection = limit === 0 || limit >= count ? undefined : select(count, limit, seed);
  const digests = opened.map(({ index }) => index.digest);
  const fingerprint = contentFingerprint([...digests, selectionIdentity(count, limit, seed)]);
  const notKept = fault ?? opened.find((shard) => shard.notKept !== null)?.notKept ?? null;
  return {
    images,
    ...(selection && { selection }),
    labels: labels && selection ? Int32Array.from(selection, (index) => labels[index]!) : labels,
    classes,
    fingerprint,
    earlierFingerprint: null,
    identity: hashLines([fingerprint, ...opened.map(({ stamp }) => stamp)]),
    skipped,
    ignored,
    notices: [
      ...(passedOver === null ? [] : [`${source}: not used are ${passedOver}`]),
      ...(notice === null ? [] : [`${source}: ${notice}`]),
      ...(notKept === null ? [] : [`${source}: its index is made anew each time: ${notKept}`]),
    ],
  };
}

/** Where indices are kept; without a folder for it, why. */
function cacheOf({ cacheDirectory }: SourceOptions): { directory: string | null; fault: string | null } {
  try {
    return { directory: cacheDirectory ?? defaultCacheDirectory(), fault: null };
  } catch (error) {
    return { directory: null, fault: reasonOf(error) };
  }
}

async function requireAll(source: string, paths: readonly string[]): Promise<void> {
  const seen = new Set<string>();
  const twice = paths.find((path) => seen.size === seen.add(path).size);
  if (twice !== undefined)
    throw new UsageError(`data source ${source} names ${twice} twice; accepted: each shard once`);
  const missing: { readonly path: string; readonly reason: string }[] = [];
  await forEachConcurrently(paths.length, 16, async (i) => {
    const path = paths[i]!;
    await stat(path).catch((error: unknown) => {
      missing.push({ path, reason: isAbsent(error) ? '' : ` (${reasonOf(error)})` });
    });
  });
  if (missing.length === 0) return;
  const { path, reason } = missing.sort((a, b) => (a.path < b.path ? -1 : 1))[0]!;
  throw new UsageError(
    paths.length === 1
      ? `data source ${path} ${reason === '' ? 'does not exist' : `cannot be read${reason}`}`
      : `data source ${source}: ${counted(missing.length, 'shard')} of ${paths.length} cannot be found, the first ${path}${reason}`,
  );
}

function joinShards(
  root: string,
  opened: readonly (OpenedShard & { readonly path: string; readonly name: string })[],
): ShardImages {
  const firsts = sharedUint32(opened.length + 1);
  for (const [i, { index }] of opened.entries()) firsts[i + 1] = firsts[i]! + index.sizes.length;
  const blocks = sharedUint32(firsts[opened.length]!);
  const sizes = sharedUint32(firsts[opened.length]!);
  for (const [i, { index }] of opened.entries()) {
    blocks.set(index.blocks, firsts[i]);
    sizes.set(index.sizes, firsts[i]);
  }
  return {
    kind: 'shards',
    root,
    paths: packStrings(opened.map(({ path }) => path)),
    versions: packStrings(opened.map(({ version }) => version)),
    shards: packStrings(opened.map(({ name }) => name)),
    firsts,
    names: joinStrings(opened.map(({ index }) => index.names)),
    blocks,
    sizes,
  };
}

function othersOf(opened: readonly OpenedShard[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { index } of opened) {
    for (const [name, count] of index.others) counts.set(name, (counts.get(name) ?? 0) + count);
  }
  return counts;
}

function noImages(source: string, skipped: readonly SkippedFile[], passedOver: string | null): UsageError {
  const beside = passedOver === null ? '' : `; passed over: ${passedOver}`;
  if (skipped.length > 0) {
    const { path, reason } = skipped[0]!;
    return new UsageError(
      `no readable image in ${source}: ${skipped.length} skipped, the first ${path} (${reason})${beside}`,
    );
  }
  return new UsageError(
    `no images in ${source}: expected files ending in ${imageExtensions.join(', ')}${beside}`,
  );
}
