import { repetition } from '../onnx/repeated.js';
import { floatTensor, type Session, type Tensor, type Tensors } from '../runtime/session.js';

/**
 * Elements a piece has at most, 768 KiB: half of it, what one of two threads holds of a few arenas, stays in the
 * second-level cache from one pass to the next.
 */
const pieceSize = 196608;

/** The same where a piece has a run to itself, whose start and end cost as much as a pass over it. */
const longPiece = 524288;

/** Elements `start` to `end`, exclusive, of an arena. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Arenas by the input that reads or the output that writes them. */
export type Arenas = Readonly<Record<string, Float32Array>>;

/**
 * A graph that treats every element for itself, over a range of arenas, as many pieces a run as its session has
 * repetitions. An output may be written where an input is read. The tensors are made once.
 */
export class PieceRuns {
  readonly #runs: readonly { readonly feeds: Tensors; readonly outputs: Tensors }[];

  /** `size`: elements a piece has at most. */
  constructor(
    private readonly session: Session,
    range: Span,
    inputs: Arenas,
    outputs: Arenas,
    size = pieceSize,
  ) {
    this.#runs = runsOver(range, session.repetitions, size).map((pieces) => ({
      feeds: this.#tensors(pieces, inputs),
      outputs: this.#tensors(pieces, outputs),
    }));
  }

  /** `scalars`: the inputs that are the same for all elements. */
  async run(scalars: Tensors = {}): Promise<void> {
    for (const { feeds, outputs } of this.#runs)
      await this.session.runInto({ ...scalars, ...feeds }, outputs);
  }

  #tensors(pieces: readonly Span[], arenas: Arenas): Tensors {
    return Object.fromEntries(
      Object.entries(arenas).flatMap(([name, arena]) =>
        pieces.map((piece, i) => [repetition(name, i), tensorOver(piece, arena)] as const),
      ),
    );
  }
}

/** Walks the same range of several arenas, a piece a run, as tensors `[n]` over their memory. */
export function* inPieces(range: Span, ...arenas: readonly Float32Array[]): Generator<readonly Tensor[]> {
  for (const [piece] of runsOver(range, 1, longPiece)) yield arenas.map((arena) => tensorOver(piece!, arena));
}

/** Cuts a range into runs of so many pieces each: whole ones, in the last run of about equal length, which may be 0. */
function runsOver({ start, end }: Span, pieces: number, size: number): Span[][] {
  const runs: Span[][] = [];
  for (let from = start; from < end; from += pieces * size) {
    const length = Math.min(size, Math.ceil((end - from) / pieces));
    const bound = (i: number) => Math.min(from + i * length, end);
    runs.push(Array.from({ length: pieces }, (_, i) => ({ start: bound(i), end: bound(i + 1) })));
  }
  return runs;
}

function tensorOver({ start, end }: Span, arena: Float32Array): Tensor {
  return floatTensor(arena.subarray(start, end), [end - start]);
}
