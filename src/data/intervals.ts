/** The interval that a value lies in: the last one that begins at it or before. `starts`, ascending, ends with the end of the last one. */
export function intervalOf(starts: Uint32Array, value: number): number {
  let low = 0;
  let high = starts.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
