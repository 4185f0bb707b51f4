import type { Value } from '../../graph/graph.js';
import type { ExpandAttributes } from '../../ops/expand.js';
import type { MaxPoolAttributes } from '../../ops/maxPool.js';
import { interleave } from './inputGradient.js';
import type { Kernels } from './kernels.js';
import type { Rule } from './lowering.js';
import { everySecond, oneTap, Placed, type TapOptions } from './placed.js';

/** MaxPool on blocked maps, where nobody reads the indices but its gradient, which does without them. */
export const maxPool: Rule = (l, node) => {
  const x = l.of(node.inputs[0]!);
  const [output, indices] = node.outputs as [Value, Value];
  if (x.native === 'plain' || !l.onlyReadBy(indices, ['MaxPoolGrad'])) return null;
  const attributes = node.attributes as MaxPoolAttributes;
  if (!l.onlyReadBy(indices, []) && !overlapping(node.inputs[0]!, attributes)) return null;
  const { kernelShape, strides, pads } = attributes;
  const y = l.k.maxPool(x.get('blocked'), kernelShape, strides, pads);
  return [l.placed(output, 'blocked', y, x.clean), l.placed(indices, 'plain', y)];
};

/** 3x3 with stride 2 and padding 1 over an even map, the one whose gradient has a rule here. */
function overlapping(x: Value, { kernelShape, strides, pads }: MaxPoolAttributes): boolean {
  const [, , h, w] = x.dims as [number, number, number, number];
  const all = (values: readonly number[], wanted: number) => values.every((value) => value === wanted);
  return all(kernelShape, 3) && all(strides, 2) && all(pads, 1) && h % 2 === 0 && w % 2 === 0;
}

/**
 * MaxPoolGrad of 3x3 with stride 2. An input position lies in one, two or four windows, by the parity of its row and
 * column; for each parity dX is the sum of dY over the windows whose maximum it is. Every one of equal maxima
 * receives the gradient (PyTorch: the first); behind Relu equal maxima are zeros, whose gradient Relu drops.
 */
export const maxPoolGrad: Rule = (l, node) => {
  const [gradient, input, output] = node.inputs as [Value, Value, Value];
  const x = l.of(input);
  const y = l.of(output);
  if (!y.has('blocked')) return null;
  const { k } = l;
  const maxima = y.get('blocked');
  const incoming = l.of(gradient).get('blocked');
  // Relu's own step here, on a quarter of the positions, where its gradient is all that reads this one.
  const behindRelu = input.producer?.op === 'Relu' && l.onlyReadBy(node.outputs[0]!, ['ReluGrad']);
  const dy = behindRelu ? k.mul(incoming, k.step(k.after(maxima, incoming))) : incoming;
  const [n, c, h, w] = x.get('blocked').dims as [number, number, number, number];
  const half = [n, c, h / 2, w / 2];
  const image = k.after(x.get('blocked'), dy);
  // Window (i, j) covers rows 2i - 1 to 2i + 1: an odd row lies in two windows, its own and the next.
  const shares = [0, 1].map((down) =>
    [0, 1].map((right) => (down + right === 0 ? dy : moved(k, dy, down, right))),
  );
  const phase = (row: number, column: number) => {
    const positions = taken(k, image, row, column);
    let sum: Value | null = null;
    for (let down = 0; down <= row; down++) {
      for (let right = 0; right <= column; right++) {
        // 1 where the position is the maximum, 0 where it is less.
        const hit = moved(k, maxima, down, right, { weight: -1, sum: positions, hardSigmoid: [1e38, 1] });
        const part = k.mul(hit, shares[down]![right]!);
        sum = sum ? k.add(sum, part) : part;
      }
    }
    return sum!;
  };
  const dx = interleave(l, half, [phase(0, 0), phase(0, 1), phase(1, 0), phase(1, 1)]);
  const placed = l.placed(node.outputs[0]!, 'blocked', dx, x.clean);
  if (behindRelu) l.stepped.set(node.outputs[0]!, input);
  return [placed];
};

/** A blocked map moved up and to the left, zeros behind it. Depthwise, like `taken`: Slice and Pad copy on one thread. */
function moved(k: Kernels, value: Value, down: number, right: number, rest: TapOptions = {}): Value {
  return lastTap(k, value, down, right, { pads: [0, 0, down, right], ...rest });
}

/** Every second row and column of a blocked map, from `row` and `column` on. */
function taken(k: Kernels, value: Value, row: number, column: number): Value {
  if (row === 0 && column === 0) return everySecond(k, value, 'blocked', 1);
  return lastTap(k, value, row, column, { strides: [2, 2] });
}

/** What lies `down` and `right` of every position: under the last one of a window that reaches so far. */
function lastTap(k: Kernels, value: Value, down: number, right: number, options: TapOptions): Value {
  return oneTap(k, value, [1 + down, 1 + right], (1 + down) * (1 + right) - 1, options);
}

/** GlobalAveragePool: `[N, C, H, W]` -> `[N, C, 1, 1]`, plain. */
export const globalAveragePool: Rule = (l, node) => {
  const x = l.of(node.inputs[0]!);
  if (x.native === 'plain') return null;
  const { k } = l;
  const [samples, channels] = x.dims as [number, number];
  const [n, c, h, w] = k.mapDims(x.dims);
  const blocks = c / k.block;
  const means =
    x.native === 'folded'
      ? k.transpose(
          l.b.op('ReduceMean', [k.reshape(x.get('folded'), [blocks, h * w, n, k.block])], {
            axes: [1],
            keepdims: false,
          }),
          [1, 0, 2],
        )
      : k.globalAverage(x.get('blocked'));
  const whole = k.slice(k.reshape(means, [n, c]), 1, 0, (samples * channels) / n);
  return [l.placed(node.outputs[0]!, 'plain', k.reshape(whole, [samples, channels, 1, 1]))];
};

/** Expand of `[N, C, 1, 1]` to a map, the gradient of GlobalAveragePool: open, for the layout that is asked for. */
export const expand: Rule = (l, node) => {
  const input = node.inputs[0]!;
  const { shape } = node.attributes as ExpandAttributes;
  const [n, c, h, w] = input.shape;
  if (input.shape.length !== 4 || h !== 1 || w !== 1 || shape[0] !== n || shape[1] !== c) return null;
  const value = l.k.reshape(l.of(input).get('plain'), [shape[0]!, shape[1]!]);
  return [Placed.open(l.k, node.outputs[0]!.type, { kind: 'spread', value })];
};
