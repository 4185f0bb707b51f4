/**
 * IEEE 754 binary16: 1 sign bit, 5 of the exponent, 10 of the fraction. Its largest number is 65504, its smallest normal
 * one 2^-14, its smallest 2^-24. Arrays hold the bits.
 */

const sign = 0x8000;
const infinity = 0x7c00;
const notANumber = 0x7e00;
const smallestNormal = 2 ** -14;

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);

/** Bits of the float16 nearest to each number, of two equally near ones the even; beyond 65504 infinity. */
export function toFloat16(values: ArrayLike<number>): Uint16Array {
  return Uint16Array.from(values, bitsOf);
}

/** The numbers that bits of float16 stand for; float32 holds each exactly. */
export function fromFloat16(bits: ArrayLike<number>): Float32Array {
  return Float32Array.from(bits, numberOf);
}

function bitsOf(value: number): number {
  if (Number.isNaN(value)) return notANumber;
  const signed = value < 0 || Object.is(value, -0) ? sign : 0;
  const size = Math.abs(value);
  if (size < smallestNormal) return signed | toEven(size * 2 ** 24);
  const exponent = exponentOf(size);
  if (exponent > 15) return signed | infinity;
  // 1024 to 2048: the leading 1 adds one to the exponent, and so does a fraction that is rounded up to 2.
  return signed | (((exponent + 14) << 10) + toEven(size * 2 ** (10 - exponent)));
}

/** Of a positive number, e where 2^e is its leading bit. */
function exponentOf(value: number): number {
  double[0] = value;
  return ((words[1]! >>> 20) & 0x7ff) - 1023;
}

/** Nearest integer of a number that is not negative, ties to even. */
function toEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

function numberOf(bits: number): number {
  const signed = bits & sign ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return signed * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? signed * Infinity : NaN;
  return signed * (1024 + fraction) * 2 ** (exponent - 25);
}
