import { closest as nearest, distance } from 'fastest-levenshtein';

/** The candidate a mistyped word most likely meant; undefined when every one differs in more than half its letters. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0) return undefined;
  const best = nearest(
    word.toLowerCase(),
    candidates.map((c) => c.toLowerCase()),
  );
  const candidate = candidates.find((c) => c.toLowerCase() === best)!;
  return distance(word.toLowerCase(), best) * 2 <= Math.max(word.length, best.length) ? candidate : undefined;
}
