import { buildFunction, f32x4, forUpTo, i32, v128, type Code, type Variable } from './assembler.js';

/** Bytes of one pair of taps in the table of `blendPairs`: two addresses and the weight, padded. */
export const pairBytes = 16;

/**
 * `(center, weight, pairs, pairsEnd, out, bytes)`: a symmetric filter, out = weight * center + the sum over the
 * table of pairs of weight * (a + b), where a and b are addresses of lines of `bytes` bytes of float32. It serves
 * both axes: lines above and below each other, or one line shifted to the left and right.
 */
export const blendPairs = buildFunction((f) => {
  const center = f.parameter('i32');
  const centerWeight = f.parameter('f32');
  const pairs = f.parameter('i32');
  const pairsEnd = f.parameter('i32');
  const out = f.parameter('i32');
  const bytes = f.parameter('i32');
  const offset = f.local('i32');
  const pair = f.local('i32');
  const a = f.local('i32');
  const b = f.local('i32');
  const weight = f.local('v128');
  const sums = f.locals('v128', 4);
  const blend = (vectors: readonly Variable[]): Code => [
    ...vectors.flatMap((sum, i) =>
      sum.set(f32x4.mul(v128.load(i32.add(center.get, offset.get), 16 * i), f32x4.splat(centerWeight.get))),
    ),
    ...pair.set(pairs.get),
    ...forUpTo(pair, pairsEnd.get, pairBytes, [
      ...a.set(i32.add(i32.load(pair.get), offset.get)),
      ...b.set(i32.add(i32.load(pair.get, 4), offset.get)),
      ...weight.set(v128.loadSplat(pair.get, 8)),
      ...vectors.flatMap((sum, i) =>
        sum.set(
          f32x4.add(
            sum.get,
            f32x4.mul(weight.get, f32x4.add(v128.load(a.get, 16 * i), v128.load(b.get, 16 * i))),
          ),
        ),
      ),
    ]),
    ...vectors.flatMap((sum, i) => v128.store(i32.add(out.get, offset.get), sum.get, 16 * i)),
  ];
  // Four vectors at a time as long as all four are inside, then one at a time.
  const whole = i32.and(bytes.get, i32.const(-64));
  return [
    ...forUpTo(offset, whole, 64, blend(sums)),
    ...forUpTo(offset, bytes.get, 16, blend(sums.slice(0, 1))),
  ];
});
