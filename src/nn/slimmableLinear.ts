import type { Value } from '../graph/graph.js';
import type { Forward } from './forward.js';
import type { Region } from '../graph/region.js';
import type { Declarations, Initialization, Parameter } from './parameter.js';
import { blockOfChannels, overlapping, whole, type Slicing } from './slicing.js';

/**
 * `normal`: weights N(0, 0.01), biases 0 (docs/method.md). `uniform`: both within 1 / sqrt(inputs), PyTorch's default.
 */
export type LinearInitialization = 'normal' | 'uniform';

export interface LinearOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** False for a layer that reads an embedding of fixed length. */
  readonly slimInputs?: boolean;
  /** False for a last layer: its outputs are never sliced. */
  readonly slimOutputs?: boolean;
  readonly bias?: boolean;
  /** The only width that uses the layer, which has the size of that width then; absent: all share it. */
  readonly own?: number | undefined;
  /** Of a layer that widths share. */
  readonly slicing: Slicing;
  readonly initialization: LinearInitialization;
}

/** Linear layer; weight `[outputs, inputs]`, sliced like a slimmable convolution. */
export class SlimmableLinear {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    declarations: Declarations,
    readonly name: string,
    options: LinearOptions,
  ) {
    const {
      inputs,
      outputs,
      slimInputs = true,
      slimOutputs = true,
      bias = true,
      own,
      slicing: shared,
      initialization,
    } = options;
    const slicing = own === undefined ? shared : overlapping;
    const rows = (width: number) => (slimOutputs ? slicing(outputs, width) : whole(outputs));
    const columns = (width: number) => (slimInputs ? slicing(inputs, width) : whole(inputs));
    const uniform: Initialization = { kind: 'uniform', bound: 1 / Math.sqrt(columns(own ?? 1).count) };
    const block = (at: (width: number) => Region) => ({
      shape: at(own ?? 1).shape,
      slice: (width: number) => (own === undefined || own === width ? at(width) : null),
    });
    this.weight = declarations.parameter({
      name: `${name}.weight`,
      role: 'weight',
      initializer: initialization === 'uniform' ? uniform : { kind: 'normal', std: 0.01 },
      ...block((width) => blockOfChannels(rows(width), columns(width))),
    });
    this.bias = bias
      ? declarations.parameter({
          name: `${name}.bias`,
          role: 'bias',
          initializer: initialization === 'uniform' ? uniform : { kind: 'constant', value: 0 },
          ...block((width) => blockOfChannels(rows(width))),
        })
      : null;
  }

  /** `[N, inputs_w]` -> `[N, outputs_w]` */
  forward(f: Forward, x: Value): Value {
    return f.scope(this.name, () => {
      const operands = [x, f.parameter(this.weight), ...(this.bias ? [f.parameter(this.bias)] : [])];
      return f.b.op('Gemm', operands, { transB: true });
    });
  }
}
