import { SlimmableLinear } from '../slimmableLinear.js';
import { SwitchableBatchNorm } from '../switchableBatchNorm.js';
import type { Head, HeadOptions } from './head.js';

/** SimCLR head: Linear(C -> hidden w), batch norm, ReLU, Linear(hidden w -> dimension, no bias), batch norm. */
export function simclrHead(options: HeadOptions, hidden: number, dimension: number): Head {
  const { declarations, name, channels, widths, own, slicing, initialization } = options;
  const shared = { own, slicing, initialization };
  const fc1 = new SlimmableLinear(declarations, `${name}.fc1`, {
    ...shared,
    inputs: channels,
    outputs: hidden,
  });
  const bn1 = new SwitchableBatchNorm(declarations, `${name}.bn1`, { channels: hidden, widths });
  const fc2 = new SlimmableLinear(declarations, `${name}.fc2`, {
    ...shared,
    inputs: hidden,
    outputs: dimension,
    slimOutputs: false,
    bias: false,
  });
  const bn2 = new SwitchableBatchNorm(declarations, `${name}.bn2`, {
    channels: dimension,
    widths,
    slim: false,
  });
  return {
    forward(f, features) {
      const y = f.b.op('Relu', [bn1.forward(f, fc1.forward(f, features))]); // [N, hidden w]
      return bn2.forward(f, fc2.forward(f, y));
    },
  };
}
