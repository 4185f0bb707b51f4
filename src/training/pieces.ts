import type { Arena, Span } from '../engines/arena.js';
import type { Place, Places } from '../engines/engine.js';
import { repetition } from '../onnx/repeated.js';
import type { StepGraphs, StepRun } from './steps/stepGraphs.js';

/**
 * Elements a piece has at most, 768 KiB: half of it, what one of two threads holds of a few arenas, stays in the
 * second-level cache from one pass to the next.
 */
const pieceSize = 196608;

/** The same where a piece has a run to itself, whose start and end cost as much as a pass over it. */
export const longPiece = 524288;

/** Arenas of the same entries by the input that reads or the output that writes them. */
export type Arenas = Readonly<Record<string, Arena>>;

/**
 * Runs of a graph that treats every element for itself over a range of arenas, as many pieces a run as the graph has
 * repetitions. An output may be written where an input is read.
 */
export function pieceRuns(
  graphs: StepGraphs,
  name: string,
  range: Span,
  arenas: { readonly inputs: Arenas; readonly outputs: Arenas; readonly scalars?: Places },
  /** Elements a piece has at most. */
  size = pieceSize,
): StepRun[] {
  const { repetitions } = graphs.get(name);
  const [any] = Object.values(arenas.inputs) as [Arena];
  return cuts(any, range, repetitions, size).map(({ span, length }) => {
    const tied = (parts: Arenas): Places =>
      Object.fromEntries(
        Object.entries(parts).flatMap(([input, arena]) =>
          filled(arena.pieces(span, length), repetitions).map(
            (place, i) => [repetition(input, i), place] as const,
          ),
        ),
      );
    return graphs.bind(name, { ...arenas.scalars, ...tied(arenas.inputs) }, tied(arenas.outputs));
  });
}

/** Cuts a range into runs of so many pieces each: whole ones, in the last run of about equal length, which may be 0. */
function cuts(arena: Arena, { start, end }: Span, pieces: number, size: number) {
  const runs: { readonly span: Span; readonly length: number }[] = [];
  if (!arena.engine.placesAnywhere) {
    // A tensor a piece, whatever its size.
    for (const { name } of arena.entries) {
      const offset = arena.offset(name);
      if (offset >= start && offset < end)
        runs.push({ span: { start: offset, end: offset + 1 }, length: size });
    }
    return runs;
  }
  for (let from = start; from < end; from += pieces * size) {
    const length = Math.min(size, Math.ceil((end - from) / pieces));
    runs.push({ span: { start: from, end: Math.min(from + pieces * length, end) }, length });
  }
  return runs;
}

/** Empty pieces behind those that there are. */
function filled(places: readonly Place[], count: number): Place[] {
  const { memory } = places[0]!;
  return Array.from({ length: count }, (_, i) => places[i] ?? { memory, offset: 0, shape: [0] });
}
