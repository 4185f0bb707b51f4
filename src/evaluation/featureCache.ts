import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { isRefusal, keep, type Notices } from '../keep.js';
import { sha256 } from '../onnx/hash.js';
import { bytesOf } from '../onnx/model.js';
import { readSafetensors, writeSafetensors } from '../onnx/safetensors.js';
import type { Features } from './features.js';
import { replaceFile } from '../replaceFile.js';

/** Which file of the cache: one for each encoder, split and width, replaced when its key changes. */
export interface FeatureSlot {
  readonly encoder: 'trained' | 'random';
  readonly split: 'train' | 'test';
  readonly label: string;
}

/** Features of frozen encoders in a run folder's `features/`. */
export class FeatureCache {
  #writable = true;

  constructor(
    private readonly runFolder: string,
    private readonly notices: Notices = {},
  ) {}

  /** Null where there is no file, one of another key, or one that cannot be read: all are to be computed again. */
  async read(slot: FeatureSlot, key: string): Promise<Features | null> {
    try {
      const { metadata, tensors } = await readSafetensors(this.#path(slot));
      const tensor = tensors.get('features');
      if (metadata['key'] !== key || !(tensor?.data instanceof Float32Array)) return null;
      const [count, channels] = tensor.shape;
      if (count === undefined || channels === undefined) return null;
      if (metadata['sha256'] !== sha256(bytesOf(tensor.data))) return null;
      return { count, channels, data: tensor.data };
    } catch (error) {
      if (isRefusal(error)) return null;
      throw error;
    }
  }

  /** A notice where it fails the first time; after that, nothing is tried. */
  async write(slot: FeatureSlot, key: string, { count, channels, data }: Features): Promise<void> {
    if (!this.#writable) return;
    const tensor = { dtype: 'float32', shape: [count, channels], data } as const;
    const metadata = { key, sha256: sha256(bytesOf(data)) };
    const write = (partial: string) => writeSafetensors(partial, new Map([['features', tensor]]), metadata);
    this.#writable = await keep(
      'features, which the next evaluation will compute again,',
      () => replaceFile(this.#path(slot), write),
      this.notices,
    );
  }

  #path({ encoder, split, label }: FeatureSlot): string {
    return join(this.runFolder, 'features', `${encoder}.${split}.${label}.safetensors`);
  }
}

/** SHA-256 over parts in their order; each part's length separates it from the next. */
export function cacheKey(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${part.length}:`);
    hash.update(part);
  }
  return hash.digest('hex');
}
