/** What a check looks at. */
export type CheckKind = 'structure' | 'numerics' | 'budget' | 'accuracy';

/** One thing of one model, compared. */
export interface CheckRow {
  /** File of the model. */
  readonly model: string;
  readonly kind: CheckKind;
  /** `graph`; the name of an output; `bytes` or `latency`; `knn`. */
  readonly item: string;
  /** `skipped`: could not be compared, for the `reason`. */
  readonly status: 'passed' | 'failed' | 'skipped';
  /** What the numbers are; `share` of 1, `error` relative to the largest element of the golden output. */
  readonly unit: 'nodes' | 'error' | 'bytes' | 'milliseconds' | 'share';
  readonly golden: number | null;
  readonly now: number | null;
  /** What `now` may be at the most, a share at the least; null: what `golden` is. */
  readonly limit: number | null;
  /** Why it failed or was skipped, in one line; null where the numbers say it. */
  readonly reason: string | null;
  /** What differs, one line each. */
  readonly details: readonly string[];
  /** What differs and changes nothing that a user of the model sees, one line each. */
  readonly notes: readonly string[];
}

/** The comparison of models with golden ones. */
export interface CheckResult {
  readonly kind: 'check';
  readonly version: 1;
  readonly slimclr: string;
  /** The paths that were compared, as they were given. */
  readonly subject: string;
  readonly against: string;
  /** Whether nothing failed. */
  readonly passed: boolean;
  readonly rows: readonly CheckRow[];
}

export function checkRow(
  row: Pick<CheckRow, 'model' | 'kind' | 'item' | 'status' | 'unit'> & Partial<CheckRow>,
): CheckRow {
  return { golden: null, now: null, limit: null, reason: null, details: [], notes: [], ...row };
}
