/** A model that may be chosen. */
export interface Candidate {
  /** Of one image. */
  readonly multiplyAdds: number;
}

export interface Timed<T> {
  readonly model: T;
  /** Of one run. */
  readonly milliseconds: number;
}

export interface BudgetChoice<T> extends Timed<T> {
  /** False when even the model of fewest multiply-adds takes longer. */
  readonly fits: boolean;
  /** What was measured, by multiply-adds. */
  readonly measured: readonly Timed<T>[];
}

/**
 * The largest model whose run fits into a budget in milliseconds, found with few measurements, for each is a download.
 * The smallest is measured, and the one that its speed promises; the line through the two points, latency over
 * multiply-adds, tells which is the largest that fits. That one is measured, too: while it does not keep the promise, the
 * next smaller one.
 */
export async function chooseWithin<T extends Candidate>(
  candidates: readonly T[],
  budget: number,
  measure: (model: T) => Promise<number>,
): Promise<BudgetChoice<T>> {
  const models = [...candidates].sort((a, b) => a.multiplyAdds - b.multiplyAdds);
  const known = new Map<number, number>();
  const timeOf = async (index: number): Promise<number> => {
    const before = known.get(index);
    if (before !== undefined) return before;
    const milliseconds = await measure(models[index]!);
    known.set(index, milliseconds);
    return milliseconds;
  };
  const workOf = (index: number) => models[index]!.multiplyAdds;
  const largest = (fits: (work: number) => boolean) =>
    models.findLastIndex(({ multiplyAdds }, index) => index === 0 || fits(multiplyAdds));

  let chosen = 0;
  const first = await timeOf(0);
  if (models.length > 1) {
    const promised = Math.max(
      1,
      largest((work) => work * first <= budget * workOf(0)),
    );
    const second = await timeOf(promised);
    // Of two that take the same time, the clock's grain decides.
    const slope = Math.max(0, second - first) / Math.max(1, workOf(promised) - workOf(0));
    chosen = largest((work) => first + slope * (work - workOf(0)) <= budget);
    while (chosen > 0 && (await timeOf(chosen)) > budget) chosen--;
  }
  const milliseconds = await timeOf(chosen);
  const measured = [...known].sort(([a], [b]) => a - b);
  return {
    model: models[chosen]!,
    milliseconds,
    fits: milliseconds <= budget,
    measured: measured.map(([index, time]) => ({ model: models[index]!, milliseconds: time })),
  };
}
