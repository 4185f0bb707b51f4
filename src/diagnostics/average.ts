/** Means, number by number, of measurements of one form: those of several steps or passes with the same widths. */
export function averaged<T>(measurements: readonly T[]): T {
  return average(measurements) as T;
}

/** Averages trees of one form: numbers, with null and strings the same in all. */
function average(values: readonly unknown[]): unknown {
  const [first] = values;
  if (typeof first === 'number') return (values as number[]).reduce((sum, x) => sum + x / values.length, 0);
  if (Array.isArray(first)) {
    return first.map((_, i) => average((values as unknown[][]).map((list) => list[i])));
  }
  if (typeof first !== 'object' || first === null) return first;
  return Object.fromEntries(
    Object.keys(first).map((key) => [
      key,
      average((values as Record<string, unknown>[]).map((value) => value[key])),
    ]),
  );
}
