import { dirname, relative, sep } from 'node:path';

/** Files by where they lie together. */
export interface PlacedFiles {
  /** The folder that all are in. */
  readonly root: string;
  /** Their paths relative to it with forward slashes. */
  readonly names: readonly string[];
}

/** The files at absolute paths, at least one. */
export function placed(paths: readonly string[]): PlacedFiles {
  let root = dirname(paths[0]!);
  for (const path of paths) while (nameFrom(root, path).startsWith('../')) root = dirname(root);
  return { root, names: paths.map((path) => nameFrom(root, path)) };
}

/** The path that leads from a folder to a file, with forward slashes. */
export function nameFrom(folder: string, path: string): string {
  return slashed(relative(folder, path));
}

/** A path of this system with forward slashes. */
export function slashed(path: string): string {
  return sep === '/' ? path : path.replaceAll(sep, '/');
}
