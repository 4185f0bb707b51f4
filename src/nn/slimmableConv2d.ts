import type { Value } from '../graph/graph.js';
import type { Forward } from './forward.js';
import type { Declarations, Parameter } from './parameter.js';
import { blockOfChannels, whole, type Slicing } from './slicing.js';

export interface ConvOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Side of the square kernel. */
  readonly kernel: number;
  readonly stride?: number;
  /** False for the layer that reads the image: its channels are never sliced. */
  readonly slimInputs?: boolean;
  readonly slicing: Slicing;
}

/**
 * Convolution without bias that uses `int(K w)` outputs and `int(C w)` inputs at width w, the first ones where weights
 * overlap (docs/method.md). Padding keeps the extent.
 */
export class SlimmableConv2d {
  readonly weight: Parameter;

  constructor(
    declarations: Declarations,
    readonly name: string,
    private readonly options: ConvOptions,
  ) {
    const { inputs, outputs, kernel, slimInputs = true, slicing } = options;
    this.weight = declarations.parameter({
      name: `${name}.weight`,
      shape: [outputs, inputs, kernel, kernel],
      role: 'weight',
      initializer: { kind: 'kaiming-normal' },
      slice: (width) =>
        blockOfChannels(
          slicing(outputs, width),
          slimInputs ? slicing(inputs, width) : whole(inputs),
          whole(kernel),
          whole(kernel),
        ),
    });
  }

  /** `[N, C_w, H, W]` -> `[N, K_w, H / stride, W / stride]` */
  forward(f: Forward, x: Value): Value {
    const { kernel, stride = 1 } = this.options;
    const pad = (kernel - 1) / 2;
    return f.scope(this.name, () =>
      f.b.op('Conv', [x, f.parameter(this.weight)], {
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
      }),
    );
  }
}
