import { SlimmableLinear } from '../slimmableLinear.js';
import type { Head, HeadOptions } from './head.js';

/** A linear classifier: its inputs are sliced, its classes are not. */
export function classifier(
  { declarations, name, channels, own, slicing, initialization }: HeadOptions,
  classes: number,
): Head {
  return new SlimmableLinear(declarations, `${name}.fc`, {
    inputs: channels,
    outputs: classes,
    slimOutputs: false,
    own,
    slicing,
    initialization,
  });
}
