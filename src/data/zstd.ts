import * as zlib from 'node:zlib';

const { zstdDecompressSync } = zlib as { zstdDecompressSync?: typeof zlib.inflateSync };

/** Decompresses Zstandard to at most `size` bytes; null in Node.js before 22.15. */
export const decompressZstd = zstdDecompressSync
  ? (block: Uint8Array, size: number): Buffer =>
      zstdDecompressSync(block, size > 0 ? { maxOutputLength: size } : {})
  : null;
