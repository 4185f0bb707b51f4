import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { summed } from '../../ops/channels.js';
import { ConvWeightGrad, type ConvWeightGradAttributes } from '../../ops/convWeightGrad.js';
import type { Lowering } from '../../ops/operator.js';
import type { CudaChoices, CudaConv } from './choices.js';
import { cudaConv } from './convolution.js';

/**
 * ConvWeightGrad as products of matrices: dW[k, c, i, j] = sum over n, o, p of dY[n, k, o, p] X[n, c, s o + d i, s p + d j]
 * is, for each tap (i, j), the product of dY and of what the tap meets of X, over all positions.
 */
export function weightGradient(choices: CudaChoices): Lowering<ConvWeightGradAttributes> {
  return (b, [x, dy], attributes, outputs) => {
    const conv = cudaConv(x!.type, outputs[0]!.shape as number[], dy!.type, attributes);
    const form = conv ? choices.weightGradient(conv) : 'convolution';
    if (!conv || form === 'convolution') return ConvWeightGrad.lower(b, [x!, dy!], attributes, outputs);
    if (form === 'samples') return [bySamples(b, x!, dy!, conv)];
    return [form === 'rows' ? byRows(b, x!, dy!, conv) : byColumns(b, x!, dy!, conv)];
  };
}

/** NHWC. For each tap `[N OH OW, K]^T [N OH OW, C]`, then the taps beside each other. */
function byRows(b: Builder, x: Value, dy: Value, conv: CudaConv): Value {
  const { inputs, outputs, window } = conv;
  const rows = asRows(b, lastChannels(b, dy));
  const taps = met(b, lastChannels(b, x), conv, 1).map((tap) =>
    b.op('Gemm', [rows, asRows(b, tap)], { transA: true }),
  );
  if (taps.length === 1) return b.reshape(taps[0]!, [outputs, inputs, ...window]);
  const columns = taps.map((tap) => b.reshape(tap, [outputs, inputs, 1]));
  return b.reshape(b.op('Concat', columns, { axis: 2 }), [outputs, inputs, ...window]);
}

/** NHWC. One product `[N OH OW, K]^T [N OH OW, taps C]`. */
function byColumns(b: Builder, x: Value, dy: Value, conv: CudaConv): Value {
  const { inputs, outputs, window } = conv;
  const taps = met(b, lastChannels(b, x), conv, 1);
  const image = taps.length === 1 ? taps[0]! : b.op('Concat', taps, { axis: 3 });
  const product = b.op('Gemm', [asRows(b, lastChannels(b, dy)), asRows(b, image)], { transA: true });
  const split = b.reshape(product, [outputs, ...window, inputs]);
  return b.op('Transpose', [split], { perm: [0, 3, 1, 2] });
}

/** NCHW, group by group. For each tap and sample `[K, OH OW] [C, OH OW]^T`, added up over the samples. */
function bySamples(b: Builder, x: Value, dy: Value, conv: CudaConv): Value {
  const { batch, inputs, outputs, group, window, outputSize } = conv;
  const size = outputSize[0] * outputSize[1];
  const gradients = b.reshape(dy, [batch, group, outputs / group, size]);
  const taps = met(b, x, conv, 2).map((tap) => {
    const columns = b.op('Transpose', [b.reshape(tap, [batch, group, inputs / group, size])], {
      perm: [0, 1, 3, 2],
    });
    const sum = summed(b, b.op('MatMul', [gradients, columns]), { axes: [0], keepdims: false });
    return b.reshape(sum, [outputs, inputs / group, 1]);
  });
  const columns = taps.length === 1 ? taps[0]! : b.op('Concat', taps, { axis: 2 });
  return b.reshape(columns, [outputs, inputs / group, ...window]);
}

/** What each tap meets of X, whose height is axis `axis`, the width the next: maps of the output's size. */
function met(b: Builder, x: Value, conv: CudaConv, axis: 1 | 2): Value[] {
  const { window, strides, pads, dilations, outputSize } = conv;
  const sides = x.dims.map((_, at) => (at === axis ? 0 : at === axis + 1 ? 1 : null));
  const padded = pads.some((pad) => pad > 0)
    ? b.op('Pad', [x], {
        pads: [
          ...sides.map((side) => (side === null ? 0 : pads[side])),
          ...sides.map((side) => (side === null ? 0 : pads[side + 2]!)),
        ],
      })
    : x;
  const taps: Value[] = [];
  for (let i = 0; i < window[0]; i++) {
    for (let j = 0; j < window[1]; j++) {
      const starts = [i * dilations[0], j * dilations[1]];
      const ends = starts.map((start, side) => start + strides[side]! * (outputSize[side]! - 1) + 1);
      const whole = starts.every(
        (start, side) => start === 0 && strides[side] === 1 && ends[side] === padded.dims[axis + side],
      );
      const slice = { starts, ends, axes: [axis, axis + 1], steps: strides };
      taps.push(whole ? padded : b.op('Slice', [padded], slice));
    }
  }
  return taps;
}

/** `[N, C, H, W]` -> `[N, H, W, C]`; a transpose of the same map elsewhere is the same node to ONNX Runtime. */
function lastChannels(b: Builder, x: Value): Value {
  return b.op('Transpose', [x], { perm: [0, 2, 3, 1] });
}

/** `[N, H, W, C]` -> `[N H W, C]`. */
function asRows(b: Builder, x: Value): Value {
  const [n, h, w, c] = x.dims as [number, number, number, number];
  return b.reshape(x, [n * h * w, c]);
}
