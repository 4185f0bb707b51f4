import { buildFunction, f32x4, forUpTo, i32, v128, type Code } from './assembler.js';

/**
 * `(source, step, weights, weightsEnd, out, outEnd)`: weighted sum of image rows, bytes to float32. Tap k reads
 * `source + k * step` with weight k. Works on 16 values at a time: reads up to 15 bytes and writes up to
 * 15 values beyond the end.
 */
export const blendRows = buildFunction((f) => {
  const source = f.parameter('i32');
  const step = f.parameter('i32');
  const weights = f.parameter('i32');
  const weightsEnd = f.parameter('i32');
  const out = f.parameter('i32');
  const outEnd = f.parameter('i32');
  const row = f.local('i32');
  const tap = f.local('i32');
  const weight = f.local('v128');
  const bytes = f.local('v128');
  const sums = f.locals('v128', 4);
  const words = [v128.bytesLow(bytes.get), v128.bytesHigh(bytes.get)];
  const quarters = words.flatMap((half) => [v128.wordsLow(half), v128.wordsHigh(half)]);
  return forUpTo(out, outEnd.get, 64, [
    ...row.set(source.get),
    ...tap.set(weights.get),
    ...sums.flatMap((sum) => sum.set(f32x4.const(0))),
    ...forUpTo(tap, weightsEnd.get, 4, [
      ...weight.set(v128.loadSplat(tap.get)),
      ...bytes.set(v128.load(row.get)),
      ...sums.flatMap((sum, i) => accumulate(sum, weight.get, f32x4.fromUint32(quarters[i]!))),
      ...row.set(i32.add(row.get, step.get)),
    ]),
    ...sums.flatMap((sum, i) => v128.store(out.get, sum.get, 16 * i)),
    ...source.set(i32.add(source.get, i32.const(16))),
  ]);
});

/**
 * `(first, firstEnd, weights, groupBytes, out, plane)`: weighted sums along an interleaved RGB row of float32,
 * to one row of three planes that lie `plane` bytes apart. Outputs come in groups of four; `first` holds the
 * address of the first input pixel of each, and `weights` for each group [taps, 4] in `groupBytes`. The number
 * of taps is even. Reads up to one value beyond the last pixel.
 */
export const blendColumns = buildFunction((f) => {
  const first = f.parameter('i32');
  const firstEnd = f.parameter('i32');
  const weights = f.parameter('i32');
  const groupBytes = f.parameter('i32');
  const out = f.parameter('i32');
  const plane = f.parameter('i32');
  const groupEnd = f.local('i32');
  const pixels = f.locals('i32', 4);
  const sums = f.locals('v128', 4);
  const tapPair = pixels.flatMap((pixel, i) =>
    [0, 1].flatMap((tap) =>
      accumulate(sums[i]!, v128.loadSplat(weights.get, 16 * tap + 4 * i), v128.load(pixel.get, 12 * tap)),
    ),
  );
  const [a, b, c, d] = sums.map((sum) => sum.get) as [Code, Code, Code, Code];
  // Transpose four pixels (r, g, b, -) to three vectors.
  const redGreen = [v128.shuffle(a, b, [0, 4, 1, 5]), v128.shuffle(c, d, [0, 4, 1, 5])] as const;
  const blue = v128.shuffle(v128.shuffle(a, b, [2, 6, 3, 7]), v128.shuffle(c, d, [2, 6, 3, 7]), [0, 1, 4, 5]);
  return forUpTo(first, firstEnd.get, 16, [
    ...groupEnd.set(i32.add(weights.get, groupBytes.get)),
    ...pixels.flatMap((pixel, i) => pixel.set(i32.load(first.get, 4 * i))),
    ...sums.flatMap((sum) => sum.set(f32x4.const(0))),
    ...forUpTo(weights, groupEnd.get, 32, [
      ...tapPair,
      ...pixels.flatMap((pixel) => pixel.set(i32.add(pixel.get, i32.const(24)))),
    ]),
    ...v128.store(out.get, v128.shuffle(...redGreen, [0, 1, 4, 5])),
    ...v128.store(i32.add(out.get, plane.get), v128.shuffle(...redGreen, [2, 3, 6, 7])),
    ...v128.store(i32.add(i32.add(out.get, plane.get), plane.get), blue),
    ...out.set(i32.add(out.get, i32.const(16))),
  ]);
});

function accumulate(sum: { readonly get: Code; set(value: Code): Code }, weight: Code, value: Code): Code {
  return sum.set(f32x4.add(sum.get, f32x4.mul(weight, value)));
}
