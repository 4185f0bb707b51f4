/** Fails where an element differs by more than `tolerance` times the larger of 1 and its expected size. */
export function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  if (actual.length !== expected.length) {
    throw new Error(`${actual.length} elements, ${expected.length} expected`);
  }
  for (const [i, e] of expected.entries()) {
    const error = Math.abs(actual[i]! - e) / Math.max(1, Math.abs(e));
    // Not `error > tolerance`: a NaN must fail.
    if (!(error <= tolerance)) {
      throw new Error(`element ${i} is ${actual[i]}, ${e} expected (error ${error.toExponential(1)})`);
    }
  }
}
