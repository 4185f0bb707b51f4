/** How gradients travel between replicas: as they are, or rounded to the upper half of their bits. */
export type Wire = 'float32' | 'bfloat16';

/**
 * The upper 16 bits of float32 values, rounded to the nearest, ties to even: sign, exponent and 7 bits of mantissa, so that
 * a value is off by at most 2^-8 of itself.
 */
export function toBfloat16(values: Float32Array, out: Uint16Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    // NaN stays one: rounding could carry its last bits away.
    out[i] =
      (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
}

export function fromBfloat16(values: Uint16Array, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) bits[i] = values[i]! << 16;
}

/** Rounds values to those that travel as bfloat16, in place. */
export function roundToBfloat16(values: Float32Array): void {
  const halves = new Uint16Array(values.length);
  toBfloat16(values, halves);
  fromBfloat16(halves, values);
}
