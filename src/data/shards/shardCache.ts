import { createHash } from 'node:crypto';
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SlimclrError } from '../../errors.js';
import { bytesOf } from '../../onnx/model.js';
import { readSafetensors, writeSafetensors, type TensorData } from '../../onnx/safetensors.js';
import { replaceFile } from '../../replaceFile.js';
import { sharedBytes, sharedUint32 } from '../packedStrings.js';
import type { ShardIndex } from './shardIndex.js';

/** Changes with what an index holds, and with what is taken for an image. */
const format = 'slimclr-shard-index-3';

const restSchema = z.object({
  labelNames: z.array(z.string()),
  digest: z.string(),
  skipped: z.array(z.object({ path: z.string(), reason: z.string() })),
  others: z.array(z.tuple([z.string(), z.number()])),
});

/** Milliseconds that an index is kept without being used: the shard is gone by then, or another. */
const keptFor = 60 * 24 * 3600e3;
/** Milliseconds after which an index that is used is marked again. */
const markedFor = 24 * 3600e3;

/** The file that keeps the index of the shard at `path`, an absolute one. */
export function indexFile(cacheDirectory: string, path: string): string {
  return join(folderOf(cacheDirectory), `${createHash('sha256').update(path).digest('hex')}.safetensors`);
}

/** Removes the indices that nobody has used for 60 days. What cannot be removed stays. */
export async function pruneIndices(cacheDirectory: string, now = Date.now()): Promise<void> {
  const folder = folderOf(cacheDirectory);
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names) {
    if (!/^[0-9a-f]{64}\.safetensors$/.test(name)) continue;
    const path = join(folder, name);
    await stat(path)
      .then(({ mtimeMs }) => (now - mtimeMs > keptFor ? rm(path) : undefined))
      .catch(() => {});
  }
}

function folderOf(cacheDirectory: string): string {
  return join(cacheDirectory, 'shards');
}

/** Notes in the time of the file that its index is used; a cache that is not ours to change stays as it is. */
async function markUsed(path: string): Promise<void> {
  const now = Date.now();
  await stat(path)
    .then(({ mtimeMs }) => (now - mtimeMs > markedFor ? utimes(path, now / 1000, now / 1000) : undefined))
    .catch(() => {});
}

/** Keeps the index of a shard in a file. `state` is what the shard was like (`shardState`). */
export async function writeIndex(path: string, state: string, index: ShardIndex): Promise<void> {
  const { names, blocks, sizes, labels, ...rest } = index;
  const tensors = new Map<string, TensorData>([
    ['ends', int32(names.offsets.subarray(1))],
    ['blocks', int32(blocks)],
    ['sizes', int32(sizes)],
    ['labels', int32(labels)],
    ['names', { dtype: 'uint8', shape: [names.bytes.length], data: names.bytes }],
  ]);
  const metadata = { format, state, rest: JSON.stringify(rest) };
  await replaceFile(path, (partial) =>
    writeSafetensors(partial, tensors, { ...metadata, sha256: digestOf(metadata, tensors) }),
  );
}

/** The index of a shard that is in this state; null when none is kept, or what is kept is of another state or damaged. */
export async function readIndex(path: string, state: string): Promise<ShardIndex | null> {
  try {
    const { metadata, tensors } = await readSafetensors(path);
    const { sha256, ...others } = metadata;
    if (metadata.format !== format || metadata.state !== state) return null;
    if (sha256 !== digestOf(others, tensors)) return null;
    await markUsed(path);
    const data = (name: string) => bytesOf(tensors.get(name)!.data);
    const words = (name: string) => {
      const { buffer, byteOffset, byteLength } = data(name);
      return new Uint32Array(buffer, byteOffset, byteLength / 4);
    };
    const ends = words('ends');
    const offsets = sharedUint32(ends.length + 1);
    offsets.set(ends, 1);
    const bytes = sharedBytes(data('names').length);
    bytes.set(data('names'));
    return {
      names: { bytes, offsets },
      blocks: words('blocks'),
      sizes: words('sizes'),
      labels: new Int32Array(words('labels').buffer),
      ...restSchema.parse(JSON.parse(metadata.rest!)),
    };
  } catch (error) {
    // Absent, torn or foreign: it is made again.
    if (error instanceof SlimclrError) return null;
    throw error;
  }
}

/** The bits of 32-bit integers without a sign, which safetensors files of ours do not have. */
function int32({ buffer, byteOffset, length }: Uint32Array | Int32Array): TensorData {
  return { dtype: 'int32', shape: [length], data: new Int32Array(buffer, byteOffset, length) };
}

function digestOf(
  metadata: Readonly<Record<string, string>>,
  tensors: ReadonlyMap<string, TensorData>,
): string {
  const hash = createHash('sha256').update(JSON.stringify(Object.entries(metadata).sort()));
  for (const [name, { dtype, shape, data }] of tensors) {
    hash.update(JSON.stringify([name, dtype, shape])).update(bytesOf(data));
  }
  return hash.digest('hex');
}
