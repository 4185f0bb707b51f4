import { SlimmableLinear } from '../slimmableLinear.js';
import { SwitchableBatchNorm } from '../switchableBatchNorm.js';
import type { Head, HeadOptions } from './head.js';

/** Linear(inputs -> hidden w, no bias), batch norm, ReLU, Linear(hidden w -> dimension, no bias). */
function mlp(
  { declarations, name, widths, own, slicing, initialization }: HeadOptions,
  inputs: number,
  slimInputs: boolean,
  hidden: number,
  dimension: number,
): Head {
  const shared = { own, slicing, initialization, bias: false };
  const fc1 = new SlimmableLinear(declarations, `${name}.fc1`, {
    ...shared,
    inputs,
    slimInputs,
    outputs: hidden,
  });
  const bn1 = new SwitchableBatchNorm(declarations, `${name}.bn1`, { channels: hidden, widths });
  const fc2 = new SlimmableLinear(declarations, `${name}.fc2`, {
    ...shared,
    inputs: hidden,
    outputs: dimension,
    slimOutputs: false,
  });
  return {
    forward: (f, x) => fc2.forward(f, f.b.op('Relu', [bn1.forward(f, fc1.forward(f, x))])),
  };
}

/** MoCo v3 projector: an MLP and a batch norm without affine transform. */
export function mocoV3Projector(options: HeadOptions, hidden: number, dimension: number): Head {
  const body = mlp(options, options.channels, true, hidden, dimension);
  const bn2 = new SwitchableBatchNorm(options.declarations, `${options.name}.bn2`, {
    channels: dimension,
    widths: options.widths,
    slim: false,
    affine: false,
  });
  return { forward: (f, features) => bn2.forward(f, body.forward(f, features)) };
}

/** MoCo v3 predictor: an MLP from projections to projections, of the query network only. */
export function mocoV3Predictor(options: HeadOptions, hidden: number, dimension: number): Head {
  return mlp(options, dimension, false, hidden, dimension);
}
