import { floatTensor, type Tensor } from '../runtime/session.js';

/** Elements a piece has at most: what several arenas hold of it stays in a core's cache between the passes. */
const pieceSize = 262144;

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
