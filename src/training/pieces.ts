import { floatTensor, type Tensor } from '../runtime/session.js';

/**
 * Elements a piece has at most: what several arenas hold of it, 2 MiB each, stays in the cache that the cores share
 * between the passes, and the start of a run, some 30 us, is paid seldom.
 */
const pieceSize = 524288;

/** Elements `start` to `end`, exclusive, of an arena. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Walks the same range of several arenas piece by piece, as tensors over their memory. */
export function* inPieces(range: Span, ...arenas: readonly Float32Array[]): Generator<readonly Tensor[]> {
  for (let start = range.start; start < range.end; start += pieceSize) {
    yield tensorsOver({ start, end: Math.min(start + pieceSize, range.end) }, ...arenas);
  }
}

/** The same range of several arenas, as tensors `[n]` over their memory. */
export function tensorsOver({ start, end }: Span, ...arenas: readonly Float32Array[]): readonly Tensor[] {
  return arenas.map((arena) => floatTensor(arena.subarray(start, end), [end - start]));
}
