import { SlimmableLinear } from '../slimmableLinear.js';
import type { Head, HeadOptions } from './head.js';

/** MoCo v2 projection head: Linear(C -> C), ReLU, Linear(C -> dimension), with biases, without batch norm. */
export function mocoHead(options: HeadOptions, dimension: number): Head {
  const { declarations, name, channels, own, slicing, initialization } = options;
  const shared = { own, slicing, initialization, inputs: channels };
  const fc1 = new SlimmableLinear(declarations, `${name}.fc1`, { ...shared, outputs: channels });
  const fc2 = new SlimmableLinear(declarations, `${name}.fc2`, {
    ...shared,
    outputs: dimension,
    slimOutputs: false,
  });
  return { forward: (f, features) => fc2.forward(f, f.b.op('Relu', [fc1.forward(f, features)])) };
}
