import type { Value } from '../graph/graph.js';
import type { Builder } from './builder.js';
import { convFlops, type ConvAttributes } from './conv.js';
import { notDifferentiable, type CompositeOperator } from './operator.js';
import { fixed, rank, required, sameTypes, windowed } from './shapes.js';
import { reverseEnd } from './slice.js';

export interface ConvInputGradAttributes extends ConvAttributes {
  /** [H, W] of the convolution's input. */
  readonly inputShape: readonly number[];
}

/**
 * Gradient of Conv with respect to X: (dY `[N, K, OH, OW]`, W `[K, C/group, kh, kw]`) -> `[N, C, H, W]`.
 *
 * dX is the transposed convolution of dY with W. With stride 1 and one group that is an ordinary convolution
 * with the taps reversed and the channel axes of W exchanged, which runtimes execute faster.
 */
export const ConvInputGrad: CompositeOperator<ConvInputGradAttributes> = {
  domain: 'slimclr',
  infer([dy, weight], { inputShape, group = 1 }) {
    const y = rank(required(dy, 'dY'), 4, 'dY');
    const w = rank(required(weight, 'W'), 4, 'W');
    sameTypes(y, w);
    return [
      { dtype: y.dtype, shape: [y.shape[0]!, fixed(w.shape[1], 'channels of W') * group, ...inputShape] },
    ];
  },
  gradient: notDifferentiable,
  flops: ([dy, w]) => convFlops(w!, dy!),
  lower(b, [dy, w], { strides, pads, dilations = [1, 1], group = 1, inputShape }) {
    const [, , kh, kw] = w!.dims as [number, number, number, number];
    const reach = [dilations[0] * (kh - 1), dilations[1] * (kw - 1)] as const;
    const mirrored = [
      reach[0] - pads[0],
      reach[1] - pads[1],
      reach[0] - pads[2],
      reach[1] - pads[3],
    ] as const;
    if (group === 1 && strides[0] === 1 && strides[1] === 1 && mirrored.every((p) => p >= 0)) {
      let turned = b.op('Transpose', [w!], { perm: [1, 0, 2, 3] });
      if (kh * kw > 1) {
        turned = b.op('Slice', [turned], {
          starts: [kh - 1, kw - 1],
          ends: [reverseEnd, reverseEnd],
          axes: [2, 3],
          steps: [-1, -1],
        });
      }
      return [b.op('Conv', [dy!, turned], { strides, pads: mirrored, dilations })];
    }
    return [transposedConv(b, dy!, w!, { strides, pads, dilations, group, inputShape })];
  },
};

/** The gradient of Conv with respect to X as a ConvTranspose of dY with W as it is, of any strides and groups. */
export function transposedConv(
  b: Builder,
  dy: Value,
  w: Value,
  { strides, pads, dilations = [1, 1], group = 1, inputShape }: ConvInputGradAttributes,
): Value {
  const [, , kh, kw] = w.dims as [number, number, number, number];
  // Input rows and columns that the strided window never reached get no gradient.
  const unreached = (axis: 0 | 1, kernel: number) => {
    const padded = inputShape[axis]! + pads[axis] + pads[axis + 2]!;
    const windows = windowed(
      inputShape[axis]!,
      kernel,
      strides[axis],
      pads[axis] + pads[axis + 2]!,
      dilations[axis],
    );
    return padded - (strides[axis] * (windows - 1) + dilations[axis] * (kernel - 1) + 1);
  };
  const outputPadding = [unreached(0, kh), unreached(1, kw)] as const;
  return b.op('ConvTranspose', [dy, w], { strides, pads, dilations, group, outputPadding });
}
