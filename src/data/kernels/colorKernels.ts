import {
  buildFunction,
  f32,
  f32x4,
  forUpTo,
  i32,
  v128,
  type Code,
  type FunctionBuilder,
} from './assembler.js';

/** Luma weights of ITU-R BT.601 with torchvision's digits. */
export const lumaWeights = [0.2989, 0.587, 0.114] as const;

/** Value of the three channels of four pixels. */
type Channels = readonly [Code, Code, Code];

/** `(begin, end, factor, shift)`: `clamp(value * factor + shift)` of float32 values in place. */
export const scaleAndClamp = buildFunction((f) => {
  const address = f.parameter('i32');
  const end = f.parameter('i32');
  const factor = f.parameter('f32');
  const shift = f.parameter('f32');
  const value = f32x4.add(f32x4.mul(v128.load(address.get), f32x4.splat(factor.get)), f32x4.splat(shift.get));
  return forUpTo(address, end.get, 16, v128.store(address.get, clamp(value)));
});

/** `(begin, end)`: `255 - value` of float32 values in place, where the value is at least 128. */
export const solarize = buildFunction((f) => {
  const address = f.parameter('i32');
  const end = f.parameter('i32');
  const value = f.local('v128');
  const isBright = f32x4.lessOrEqual(f32x4.const(128), value.get);
  return forUpTo(address, end.get, 16, [
    ...value.set(v128.load(address.get)),
    ...v128.store(address.get, v128.select(isBright, f32x4.sub(f32x4.const(255), value.get), value.get)),
  ]);
});

/** `(begin, end, mean, scale)`: `(value - mean) * scale` of float32 values in place. */
export const normalize = buildFunction((f) => {
  const address = f.parameter('i32');
  const end = f.parameter('i32');
  const mean = f.parameter('f32');
  const scale = f.parameter('f32');
  const centered = f32x4.sub(v128.load(address.get), f32x4.splat(mean.get));
  return forUpTo(address, end.get, 16, v128.store(address.get, f32x4.mul(centered, f32x4.splat(scale.get))));
});

/** `(begin, end, plane)`: sum of the luma of the pixels [begin, end) of the red plane; planes are `plane` bytes apart. */
export const sumLuma = buildFunction((f) => {
  const { address, end, addresses } = planes(f);
  const sum = f.local('v128');
  const values = addresses.map((channel) => v128.load(channel)) as unknown as Channels;
  const lanes = [0, 1, 2, 3].map((lane) => f32x4.lane(sum.get, lane));
  return [
    ...forUpTo(address, end, 16, sum.set(f32x4.add(sum.get, luma(values)))),
    ...f32.add(f32.add(lanes[0]!, lanes[1]!), f32.add(lanes[2]!, lanes[3]!)),
  ];
}, 'f32');

/** `(begin, end, plane, factor)`: blend each pixel with its luma, `clamp(value * factor + luma * (1 - factor))`. */
export const saturate = buildFunction((f) => {
  const { address, end, addresses } = planes(f);
  const factor = f.parameter('f32');
  const channels = f.locals('v128', 3);
  const shift = f.local('v128');
  const values = channels.map(({ get }) => get) as unknown as Channels;
  const rest = f32x4.sub(f32x4.const(1), f32x4.splat(factor.get));
  return forUpTo(address, end, 16, [
    ...channels.flatMap((channel, i) => channel.set(v128.load(addresses[i]!))),
    ...shift.set(f32x4.mul(luma(values), rest)),
    ...channels.flatMap(({ get }, i) =>
      v128.store(addresses[i]!, clamp(f32x4.add(f32x4.mul(get, f32x4.splat(factor.get)), shift.get))),
    ),
  ]);
});

/**
 * `(begin, end, plane, red, green, blue)`: turn the hue of HSV. Channel = value - chroma * clamp(min(k, 4 - k))
 * to 0 .. 1, where k = hue + offset modulo 6, in sixths of a turn; the offset of a channel is 5 for red, 3 for
 * green, 1 for blue, plus the shift, modulo 6.
 */
export const shiftHue = buildFunction((f) => {
  const { address, end, addresses } = planes(f);
  const offsets = [f.parameter('f32'), f.parameter('f32'), f.parameter('f32')];
  const channels = f.locals('v128', 3);
  const [red, green, blue] = channels.map(({ get }) => get) as unknown as Channels;
  const high = f.local('v128');
  const chroma = f.local('v128');
  const hue = f.local('v128');
  const k = f.local('v128');
  const isRed = f32x4.equal(high.get, red);
  const isGreen = f32x4.equal(high.get, green);
  const cases = (ofRed: Code, ofGreen: Code, ofBlue: Code) =>
    v128.select(isRed, ofRed, v128.select(isGreen, ofGreen, ofBlue));
  const numerator = cases(f32x4.sub(green, blue), f32x4.sub(blue, red), f32x4.sub(red, green));
  // Grey pixels have no hue: any finite one will do, as it is multiplied by their chroma of 0.
  const divisor = f32x4.max(chroma.get, f32x4.const(1e-30));
  const start = cases(f32x4.const(0), f32x4.const(2), f32x4.const(4));
  const share = f32x4.min(f32x4.min(k.get, f32x4.sub(f32x4.const(4), k.get)), f32x4.const(1));
  const wrapped = f32x4.sub(k.get, v128.and(f32x4.lessOrEqual(f32x4.const(6), k.get), f32x4.const(6)));
  return forUpTo(address, end, 16, [
    ...channels.flatMap((channel, i) => channel.set(v128.load(addresses[i]!))),
    ...high.set(f32x4.max(f32x4.max(red, green), blue)),
    ...chroma.set(f32x4.sub(high.get, f32x4.min(f32x4.min(red, green), blue))),
    ...hue.set(f32x4.add(f32x4.div(numerator, divisor), start)),
    ...addresses.flatMap((channelAddress, i) => [
      // hue + offset lies in [-1, 11); below 0 the share is 0, as it is in [5, 6).
      ...k.set(f32x4.add(hue.get, f32x4.splat(offsets[i]!.get))),
      ...k.set(wrapped),
      ...v128.store(
        channelAddress,
        f32x4.sub(high.get, f32x4.mul(chroma.get, f32x4.max(share, f32x4.const(0)))),
      ),
    ]),
  ]);
});

/** Parameters `(begin, end, plane)`, and the addresses of the three channels at `begin`. */
function planes(f: FunctionBuilder) {
  const address = f.parameter('i32');
  const end = f.parameter('i32');
  const plane = f.parameter('i32');
  const green = i32.add(address.get, plane.get);
  const addresses = [address.get, green, i32.add(green, plane.get)] as const;
  return { address, end: end.get, addresses };
}

function luma(channels: Channels): Code {
  const [red, green, blue] = channels.map((value, i) => f32x4.mul(value, f32x4.const(lumaWeights[i]!)));
  return f32x4.add(f32x4.add(red!, green!), blue!);
}

function clamp(value: Code): Code {
  return f32x4.min(f32x4.max(value, f32x4.const(0)), f32x4.const(255));
}
