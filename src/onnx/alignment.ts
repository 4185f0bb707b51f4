/**
 * A longest common subsequence of two sequences as pairs of indices, ascending in both (Hunt and
 * Szymanski, "A fast algorithm for computing longest common subsequences", 1977): time in the number of
 * equal pairs, which is close to the length where most items are distinct.
 */
export function longestCommonSubsequence(a: readonly string[], b: readonly string[]): [number, number][] {
  const positions = new Map<string, number[]>();
  // Descending, so that one item of `a` extends no chain that it is itself the end of.
  for (let j = b.length - 1; j >= 0; j--) {
    const list = positions.get(b[j]!);
    if (list) list.push(j);
    else positions.set(b[j]!, [j]);
  }

  interface Link {
    readonly i: number;
    readonly j: number;
    readonly previous: Link | undefined;
  }
  /** `ends[k]`: of the chains of k + 1 pairs, the one that ends first in `b`. */
  const ends: Link[] = [];
  for (const [i, item] of a.entries()) {
    for (const j of positions.get(item) ?? []) {
      let low = 0;
      let high = ends.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (ends[middle]!.j < j) low = middle + 1;
        else high = middle;
      }
      if (ends[low]?.j !== j) ends[low] = { i, j, previous: ends[low - 1] };
    }
  }

  const pairs: [number, number][] = [];
  for (let link = ends.at(-1); link; link = link.previous) pairs.push([link.i, link.j]);
  return pairs.reverse();
}
