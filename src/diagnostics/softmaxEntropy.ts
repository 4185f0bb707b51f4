/**
 * Mean over the rows of logits `[N, columns]` of the entropy of `softmax(row / temperature)`, in nats, summed in float64:
 * `log Z - sum_j p_j z_j`.
 */
export function softmaxEntropy(logits: Float32Array, columns: number, temperature: number): number {
  const rows = logits.length / columns;
  let total = 0;
  for (let start = 0; start < logits.length; start += columns) {
    const end = start + columns;
    let largest = -Infinity;
    for (let i = start; i < end; i++) if (logits[i]! > largest) largest = logits[i]!;
    let [z, weighted] = [0, 0];
    for (let i = start; i < end; i++) {
      const x = (logits[i]! - largest) / temperature;
      const e = Math.exp(x);
      z += e;
      weighted += e * x;
    }
    total += Math.log(z) - weighted / z;
  }
  return total / rows;
}
