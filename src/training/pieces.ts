import { floatTensor, type Tensor } from '../runtime/session.js';

/**
 * Elements a piece has at most: what several arenas hold of it, 2 MiB each, stays in the cache that the cores share
 * between the passes, and the start of a run, some 30 us, is paid seldom.
 */
const pieceSize = 524288;

/** Walks the same range of several arenas piece by piece, as tensors over their memory. */
export function* inPieces(
  range: { readonly start: number; readonly end: number },
  ...arenas: readonly Float32Array[]
): Generator<readonly Tensor[]> {
  for (let start = range.start; start < range.end; start += pieceSize) {
    const end = Math.min(start + pieceSize, range.end);
    yield arenas.map((arena) => floatTensor(arena.subarray(start, end), [end - start]));
  }
}
