import type { Value } from '../graph/graph.js';
import type { Forward } from './forward.js';
import type { Declarations } from './parameter.js';
import { SlimmableLinear, type LinearInitialization } from './slimmableLinear.js';

/** MoCo v2 projection head: Linear(C -> C), ReLU, Linear(C -> dimension), with biases, without batch norm. */
export class MocoHead {
  readonly #fc1: SlimmableLinear;
  readonly #fc2: SlimmableLinear;

  constructor(
    declarations: Declarations,
    name: string,
    channels: number,
    dimension: number,
    initialization: LinearInitialization,
  ) {
    this.#fc1 = new SlimmableLinear(declarations, `${name}.fc1`, {
      inputs: channels,
      outputs: channels,
      initialization,
    });
    this.#fc2 = new SlimmableLinear(declarations, `${name}.fc2`, {
      inputs: channels,
      outputs: dimension,
      slimOutputs: false,
      initialization,
    });
  }

  /** Features `[N, C_w]` -> embeddings `[N, dimension]`, not normalised. */
  forward(f: Forward, features: Value): Value {
    const hidden = f.b.op('Relu', [this.#fc1.forward(f, features)]);
    return this.#fc2.forward(f, hidden);
  }
}
