import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile } from '../replaceFile.js';

/** A file of a site: what it holds, or where that lies on this machine. */
export type SiteFile = { readonly content: Uint8Array | string } | { readonly source: string };

/** Static files by their path below the site's address, with forward slashes. */
export type Site = ReadonlyMap<string, SiteFile>;

export function contentOf(file: SiteFile): Promise<Uint8Array | string> {
  return 'source' in file ? readFile(file.source) : Promise.resolve(file.content);
}

/** Writes a site into a folder, each file whole; `index.html` last, so that a page that is there is complete. */
export async function writeSite(site: Site, folder: string, signal?: AbortSignal): Promise<void> {
  const files = [...site].sort(([a], [b]) => Number(a === 'index.html') - Number(b === 'index.html'));
  for (const [path, file] of files) {
    signal?.throwIfAborted();
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    const content = await contentOf(file);
    await replaceFile(target, content);
  }
}
