import type { Value } from '../graph/graph.js';
import type { Forward } from './forward.js';
import { slimmed, type Declarations, type Initializer, type Parameter } from './parameter.js';

/**
 * `normal`: weights N(0, 0.01), biases 0 (docs/method.md). `uniform`: both within 1 / sqrt(inputs), PyTorch's default.
 */
export type LinearInitialization = 'normal' | 'uniform';

export interface LinearOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** False for a last layer: its outputs are never sliced. */
  readonly slimOutputs?: boolean;
  readonly initialization: LinearInitialization;
}

/** Linear layer with bias; weight `[outputs, inputs]`, sliced like a slimmable convolution. */
export class SlimmableLinear {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(
    declarations: Declarations,
    readonly name: string,
    options: LinearOptions,
  ) {
    const { inputs, outputs, slimOutputs = true, initialization } = options;
    const uniform: Initializer = { kind: 'uniform', bound: 1 / Math.sqrt(inputs) };
    const slimmedOutputs = (width: number) => (slimOutputs ? slimmed(outputs, width) : outputs);
    this.weight = declarations.parameter({
      name: `${name}.weight`,
      shape: [outputs, inputs],
      role: 'weight',
      initializer: initialization === 'uniform' ? uniform : { kind: 'normal', std: 0.01 },
      slice: (width) => [slimmedOutputs(width), slimmed(inputs, width)],
    });
    this.bias = declarations.parameter({
      name: `${name}.bias`,
      shape: [outputs],
      role: 'bias',
      initializer: initialization === 'uniform' ? uniform : { kind: 'constant', value: 0 },
      slice: (width) => [slimmedOutputs(width)],
    });
  }

  /** `[N, inputs_w]` -> `[N, outputs_w]` */
  forward(f: Forward, x: Value): Value {
    return f.scope(this.name, () =>
      f.b.op('Gemm', [x, f.parameter(this.weight), f.parameter(this.bias)], { transB: true }),
    );
  }
}
