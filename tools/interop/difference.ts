import type { HostTensors } from '../../src/engines/hostGraph.js';

/** How far the outputs of a runtime are from what was expected. */
export interface Difference {
  /** Largest |theirs - ours| over the largest |ours|, of the output where it is largest; NaN where one is not finite. */
  readonly largest: number;
  /** Least cosine of the outputs. */
  readonly cosine: number;
}

/** Throws an Error for outputs that are not there or have other numbers of elements. */
export function differenceOf(actual: HostTensors, expected: HostTensors): Difference {
  let [largest, cosine] = [0, 1];
  for (const [name, { data, shape }] of Object.entries(expected)) {
    const ours = data as Float32Array;
    const theirs = actual[name]?.data as Float32Array | undefined;
    if (theirs?.length !== ours.length) {
      throw new Error(`${name}: [${actual[name]?.shape.join(', ') ?? ''}] instead of [${shape.join(', ')}]`);
    }
    let [difference, size, dot, square, square2] = [0, 0, 0, 0, 0];
    for (const [i, value] of ours.entries()) {
      const other = theirs[i]!;
      difference = Math.max(difference, Math.abs(other - value));
      size = Math.max(size, Math.abs(value));
      dot += value * other;
      square += value * value;
      square2 += other * other;
    }
    largest = Math.max(largest, difference === 0 ? 0 : difference / size);
    cosine = Math.min(cosine, square + square2 === 0 ? 1 : dot / Math.sqrt(square * square2));
  }
  return { largest, cosine };
}
