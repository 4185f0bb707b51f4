import { performance } from 'node:perf_hooks';

/** Runs a candidate once. */
export type Candidate = () => Promise<unknown>;

/** Milliseconds since some moment. */
export type Clock = () => number;

/** Milliseconds that the rounds of a race take at least, unless there are `mostRounds` of them. */
const enough = 30;
const fewestRounds = 2;
const mostRounds = 9;
/** A candidate whose best two rounds in takes so many times as long as the best of all is out. */
const hopeless = 1.2;

/**
 * Median milliseconds of each candidate. They run in turns, so that a machine that changes its speed changes it for
 * all of them; each runs once before, unmeasured. One that falls far behind runs no more.
 */
export async function race(
  runs: readonly Candidate[],
  now: Clock = () => performance.now(),
): Promise<number[]> {
  for (const run of runs) await run();
  const times = runs.map((): number[] => []);
  let rounds = fewestRounds;
  for (let round = 0; round < rounds; round++) {
    const fastest = Math.min(...times.flat());
    for (const [i, run] of runs.entries()) {
      if (round > 1 && Math.min(...times[i]!) > hopeless * fastest) continue;
      const start = now();
      await run();
      times[i]!.push(now() - start);
    }
    if (round === 0) {
      const first = times.reduce((sum, [time]) => sum + time!, 0);
      rounds = Math.min(mostRounds, Math.max(fewestRounds, Math.ceil(enough / first)));
    }
  }
  return times.map(median);
}

function median(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
