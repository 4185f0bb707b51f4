import { SlimclrError } from '../errors.js';
import type { Precision } from './form.js';

/** Largest relative error that a verified export may have. */
const largestError = { float32: 1e-4, float16: 2e-2 } as const;

/**
 * Smallest mean cosine of int8 outputs with those of the training side. Single values that leave their range say little:
 * errors of 0.4 at a cosine of 0.98 cost no accuracy.
 */
const smallestCosine = 0.9;

/** Throws a SlimclrError for a model that differs from the training side by more than its precision accounts for. */
export function requireAgreement(
  precision: Precision,
  width: number,
  maxRelativeError: number,
  cosine: number,
): void {
  const differs = `the exported model of width ${width} differs from the training side`;
  // Not the other way round: NaN is a failure.
  if (precision === 'int8') {
    if (cosine >= smallestCosine) return;
    throw new SlimclrError(`${differs}: cosine ${cosine.toFixed(3)}; accepted: at least ${smallestCosine}`);
  }
  const accepted = largestError[precision];
  if (maxRelativeError <= accepted) return;
  const error = maxRelativeError.toExponential(1);
  throw new SlimclrError(`${differs} by a relative ${error}; accepted: at most ${accepted}`);
}
