import type { Value } from '../../graph/graph.js';
import type { LayoutPass, Rule } from './layoutPass.js';
import { closeAffine, LaidOutValue } from './laidOutValue.js';

/** Relu: a part of the batch norm in front of it, or on the map as it lies. */
export const relu: Rule = (l, node) => {
  const input = node.inputs[0]!;
  const output = node.outputs[0]!;
  const x = l.of(input);
  const pending = x.pending;
  if (pending?.kind === 'affine' && l.readOnce(input)) {
    return [l.laidOut(output, pending.y.layout, closeAffine(l.k, pending, true))];
  }
  if (x.native === 'plain') return null;
  return [l.laidOut(output, x.native, l.b.op('Relu', [x.get(x.native)]), x.zeroPadded)];
};

/** ReluGrad: dY times the step function of Y, which HardSigmoid computes in one pass for Y >= 0. */
export const reluGrad: Rule = (l, node) => {
  const [gradient, output] = node.inputs as [Value, Value];
  const y = l.of(output);
  if (y.native === 'plain') return null;
  if (l.reluApplied.get(gradient) === output) return [l.of(gradient)];
  const layout = y.native;
  const dy = l.of(gradient).get(layout);
  const mask = l.k.step(l.k.after(y.get(layout), dy));
  return [l.laidOut(node.outputs[0]!, layout, l.k.mul(dy, mask), y.zeroPadded)];
};

/** Add of two maps: the residual into a batch norm, a sum of gradients into the convolution that makes the last. */
export const add: Rule = (l, node) => {
  const [left, right] = node.inputs as [Value, Value];
  const output = node.outputs[0]!;
  const [x, y] = [l.of(left), l.of(right)];
  if (left.shape.join() !== right.shape.join()) return null;
  const merged = merge(l, output, left, x, y) ?? merge(l, output, right, y, x);
  if (merged) return [merged];
  const layout = x.native !== 'plain' ? x.native : y.native;
  if (layout === 'plain') return null;
  return [l.laidOut(output, layout, l.k.add(x.get(layout), y.get(layout)), x.zeroPadded && y.zeroPadded)];
};

/** x + y where x is open and read by this sum alone. */
function merge(
  l: LayoutPass,
  output: Value,
  value: Value,
  x: LaidOutValue,
  y: LaidOutValue,
): LaidOutValue | null {
  const pending = x.pending;
  if (!pending || !l.readOnce(value)) return null;
  const zeroPadded = x.zeroPadded && y.zeroPadded;
  switch (pending.kind) {
    case 'affine':
      if (pending.sum) return null;
      return LaidOutValue.open(l.k, output.type, { ...pending, sum: y }, zeroPadded);
    case 'conv':
      return l.laidOut(output, pending.layout, pending.emit({ sum: y.get(pending.layout) }), zeroPadded);
    case 'phases': {
      if (y.pending?.kind !== 'even') return null;
      const even = y.pending.half.get('blocked');
      return LaidOutValue.open(
        l.k,
        output.type,
        { kind: 'phases', emit: () => pending.emit(even) },
        zeroPadded,
      );
    }
    default:
      return null;
  }
}
