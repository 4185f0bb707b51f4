import type { TensorType } from '../graph/graph.js';
import { elementCount } from '../onnx/model.js';
import { summed } from './channels.js';
import type { StandardOperator } from './operator.js';
import { countedElements, fixed, mapShape, rank, required, sameTypes, windowed } from './shapes.js';

/** Attributes of a two-dimensional window; `pads` is [top, left, bottom, right]. */
export interface ConvAttributes {
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly dilations?: readonly [number, number];
  readonly group?: number;
}

/** ONNX Conv, two-dimensional: X `[N, C, H, W]`, W `[K, C/group, kh, kw]`, optional bias `[K]` -> `[N, K, OH, OW]`. */
export const Conv: StandardOperator<ConvAttributes> = {
  domain: '',
  infer([input, weight, bias], { strides, pads, dilations = [1, 1], group = 1 }) {
    const x = rank(required(input, 'X'), 4, 'X');
    const w = rank(required(weight, 'W'), 4, 'W');
    sameTypes(x, w);
    const [k, c, kh, kw] = w.shape.map((d) => fixed(d, 'a dimension of W')) as [
      number,
      number,
      number,
      number,
    ];
    const channels = fixed(x.shape[1], 'channels of X');
    if (channels !== c * group || k % group !== 0) {
      throw new Error(
        `X has ${channels} channels, W [${w.shape.join(',')}] with group ${group} accepts ${c * group}`,
      );
    }
    if (bias) sameTypes(x, bias);
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== k)) throw new Error(`bias is not [${k}]`);
    const h = windowed(fixed(x.shape[2], 'height'), kh, strides[0], pads[0] + pads[2], dilations[0]);
    const wd = windowed(fixed(x.shape[3], 'width'), kw, strides[1], pads[1] + pads[3], dilations[1]);
    return [{ dtype: x.dtype, shape: [x.shape[0]!, k, h, wd] }];
  },
  gradient({ b, inputs: [x, w, bias], gradients: [dy], needs, attributes }) {
    // The weight gradient first: it is the last to need x.
    const dw = needs[1]
      ? b.op('ConvWeightGrad', [x!, dy!], { ...attributes, kernelShape: w!.dims.slice(2) })
      : null;
    return [
      needs[0] ? b.op('ConvInputGrad', [dy!, w!], { ...attributes, inputShape: mapShape(x!) }) : null,
      dw,
      bias && needs[2] ? summed(b, dy!, { axes: [0, 2, 3], keepdims: false }) : null,
    ];
  },
  flops: ([, w], [y]) => convFlops(w!, y!),
  emit: ({ strides, pads, dilations = [1, 1], group = 1 }) => ({
    attributes: { strides, pads, dilations, group },
  }),
};

/** Two operations a multiply-add: every output element sees C/group * kh * kw weights. A symbolic batch counts as one. */
export function convFlops(w: TensorType, y: TensorType): number {
  return 2 * countedElements(y.shape) * elementCount(w.shape.slice(1));
}
