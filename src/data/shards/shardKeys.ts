import { extname } from 'node:path';

/**
 * Keys of images in shards, from their paths: without the extension, other dots of the file's name become `_`, as a key
 * ends at the first. Two paths that come to the same differ by a number, as they come.
 */
export class ShardKeys {
  readonly #used = new Set<string>();

  keyOf(path: string): string {
    const name = path.slice(0, path.length - extname(path).length);
    const slash = name.lastIndexOf('/') + 1;
    // What begins and ends with two of them is metadata to WebDataset.
    const folders = name.slice(0, slash).replace(/(^|\/)__/g, '$1_');
    const plain = `${folders}${name.slice(slash).replaceAll('.', '_').replace(/^__/, '_')}`;
    let key = plain;
    for (let number = 2; this.#used.has(key); number++) key = `${plain}-${number}`;
    this.#used.add(key);
    return key;
  }
}
