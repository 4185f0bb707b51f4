/** Plain arithmetic in float64 for formulas that tests write out as loops. */

/** Rows of a row-major matrix. */
export function rows(values: readonly number[], width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
}

export function dot(x: readonly number[], y: readonly number[]): number {
  return sum(x.map((value, i) => value * y[i]!));
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

export function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

/** `exp(x_j / T) / sum_k exp(x_k / T)`. */
export function softmax(row: readonly number[], temperature = 1): number[] {
  const largest = Math.max(...row);
  const powers = row.map((x) => Math.exp((x - largest) / temperature));
  return powers.map((power) => power / sum(powers));
}
