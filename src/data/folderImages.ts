import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { EncodedKind } from './encodedImages.js';
import { stringAt, stringCount, type PackedStrings } from './packedStrings.js';

/** Files below a folder, or anywhere. */
export interface FolderImages {
  readonly kind: 'folder';
  readonly root: string;
  /** Paths relative to `root` with forward slashes, or absolute ones. */
  readonly files: PackedStrings;
}

export const folderImages: EncodedKind<FolderImages> = {
  count: ({ files }) => stringCount(files),
  name: ({ files }, index) => stringAt(files, index),
  bytes: ({ root, files }, index) => readFile(resolve(root, stringAt(files, index))),
};
