import type { Value } from '../../graph/graph.js';
import { ConvInputGrad, type ConvInputGradAttributes } from '../../ops/convInputGrad.js';
import type { Lowering } from '../../ops/operator.js';

/** ConvInputGrad, group by group: the provider's ConvTranspose of several groups of one channel gives other numbers. */
export const convInputGrad: Lowering<ConvInputGradAttributes> = (b, inputs, attributes, outputs) => {
  const { group = 1, ...ofOne } = attributes;
  if (group === 1) return ConvInputGrad.lower(b, inputs, attributes, outputs);
  const [dy, w] = inputs as [Value, Value];
  const split = (x: Value, axis: number) => {
    const sizes = Array<number>(group).fill(x.dims[axis]! / group);
    return b.node('Split', [x], { axis, sizes });
  };
  const weights = split(w, 0);
  const parts = split(dy, 1).map(
    (part, i) => ConvInputGrad.lower(b, [part, weights[i]!], ofOne, outputs)[0]!,
  );
  return [b.op('Concat', parts, { axis: 1 })];
};
