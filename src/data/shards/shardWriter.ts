import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { endMark, tarFile } from './tarWriter.js';

/** Writes samples into shards of about a size, one after the other: `shard-000000.tar` and so on. */
export class ShardWriter {
  #file: FileHandle | null = null;
  #shards = 0;
  #bytes = 0;
  #allBytes = 0;

  /** @param shardBytes a shard is larger only where a single sample is. */
  constructor(
    private readonly folder: string,
    private readonly shardBytes: number,
  ) {}

  get shards(): number {
    return this.#shards;
  }

  /** Of all shards that have been ended. */
  get bytes(): number {
    return this.#allBytes;
  }

  /** Appends the files of a sample, by extension. */
  async add(
    key: string,
    files: readonly (readonly [extension: string, content: Uint8Array])[],
  ): Promise<void> {
    const blocks = Buffer.concat(
      files.flatMap(([extension, content]) => tarFile(`${key}.${extension}`, content)),
    );
    if (this.#file && this.#bytes + blocks.length + endMark.length > this.shardBytes) await this.end();
    if (!this.#file) {
      const name = `shard-${String(this.#shards++).padStart(6, '0')}.tar`;
      this.#file = await open(join(this.folder, name), 'wx');
      this.#bytes = 0;
    }
    // Other than `write`, it goes on after a part.
    await this.#file.writeFile(blocks);
    this.#bytes += blocks.length;
  }

  /** Ends the last shard; what was written is on the disk then. */
  async end(): Promise<void> {
    if (!this.#file) return;
    await this.#file.writeFile(endMark);
    await this.#file.sync();
    await this.close();
    this.#allBytes += this.#bytes + endMark.length;
  }

  /** Closes the file, whatever is in it. */
  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }
}
