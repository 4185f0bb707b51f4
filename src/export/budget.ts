import { formatCount } from '../formatCount.js';

/** What a model may cost at most; what is absent is not limited. */
export interface Budget {
  /** Median of one image on this machine. */
  readonly milliseconds?: number;
  /** Of its file. */
  readonly bytes?: number;
  /** Of one image. */
  readonly multiplyAdds?: number;
}

/** A model that was measured to choose by. */
export interface Candidate {
  readonly width: number;
  readonly bytes: number;
  readonly multiplyAdds: number;
  readonly latency: { readonly milliseconds: number } | null;
  readonly accuracy: {
    readonly knn: { readonly top1: number } | null;
    readonly probe: { readonly top1: number } | null;
  };
}

/** By what candidates are compared: the first that is known of all of them. */
export type Criterion = 'knn' | 'probe' | 'width';

export interface BudgetChoice<T> {
  /** The best that fits; null: none does. */
  readonly chosen: T | null;
  /** What exceeds the budget least, in proportion, where none fits; else the chosen one. */
  readonly nearest: T;
  readonly criterion: Criterion;
}

/** The best of the candidates, of which there is one at least, that a budget allows; of two equally good ones the faster one. */
export function chooseWithin<T extends Candidate>(candidates: readonly T[], budget: Budget): BudgetChoice<T> {
  const criterion =
    (['knn', 'probe'] as const).find((kind) => candidates.every(({ accuracy }) => accuracy[kind])) ?? 'width';
  const worth = ({ accuracy, width }: T) => (criterion === 'width' ? width : accuracy[criterion]!.top1);
  const time = ({ latency }: T) => latency?.milliseconds ?? Infinity;
  const fitting = candidates.filter((candidate) => excess(candidate, budget) <= 1);
  const [chosen = null] = fitting.sort((a, b) => worth(b) - worth(a) || time(a) - time(b));
  const [nearest] = [...candidates].sort((a, b) => excess(a, budget) - excess(b, budget));
  return { chosen, nearest: chosen ?? nearest!, criterion };
}

/** The largest share of its budget that a model takes: more than 1 is too much. */
function excess({ latency, bytes, multiplyAdds }: Candidate, budget: Budget): number {
  const share = (cost: number, limit: number | undefined) => (limit === undefined ? 0 : cost / limit);
  return Math.max(
    share(latency?.milliseconds ?? Infinity, budget.milliseconds),
    share(bytes, budget.bytes),
    share(multiplyAdds, budget.multiplyAdds),
  );
}

/** A budget, or what a model takes of one, in words: `5 ms, 1.00 MB`. */
export function budgetText({ milliseconds, bytes, multiplyAdds }: Budget): string {
  const parts = [
    ...(milliseconds === undefined ? [] : [`${Number(milliseconds.toPrecision(3))} ms`]),
    ...(bytes === undefined ? [] : [`${formatCount(bytes)}B`]),
    ...(multiplyAdds === undefined ? [] : [`${formatCount(multiplyAdds).trim()} multiply-adds`]),
  ];
  return parts.join(', ');
}
