import { notDifferentiable, type StandardOperator } from './operator.js';
import { floating, rank, required } from './shapes.js';

/** Names of the height and width that come out. */
export interface ResizeAttributes {
  readonly height: string;
  readonly width: string;
}

/**
 * ONNX Resize(X, sizes) of opset 18, of maps: X `[N, C, H, W]`, sizes int64 `[2]` -> `[N, C, height, width]`, bilinear,
 * antialiased, with pixels as areas (half-pixel centres), as Pillow and torchvision.
 */
export const Resize: StandardOperator<ResizeAttributes> = {
  domain: '',
  infer([input, roi, scales, sizes], { height, width }) {
    const x = floating(rank(required(input, 'X'), 4, 'X'));
    const s = required(sizes, 'sizes');
    if (roi || scales) throw new Error('roi and scales are not accepted, sizes are');
    if (s.dtype !== 'int64' || s.shape.length !== 1 || s.shape[0] !== 2) {
      throw new Error(`sizes are ${s.dtype}[${s.shape.join(',')}], int64[2] is accepted`);
    }
    return [{ dtype: x.dtype, shape: [x.shape[0]!, x.shape[1]!, height, width] }];
  },
  gradient: notDifferentiable,
  emit: () => ({
    attributes: {
      antialias: 1,
      axes: [2, 3],
      coordinate_transformation_mode: 'half_pixel',
      // At the border the weights inside add up to 1; else ONNX Runtime repeats the last pixel.
      exclude_outside: 1,
      mode: 'linear',
    },
  }),
};
