import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { Lowering, NoAttributes } from '../../ops/operator.js';

/**
 * Equal of integers, labels and the classes that they are compared with: of float32, since shaders have no int64. A
 * Gather takes indices as they are and gives numbers up to the largest class, which a label does not exceed.
 */
export const equal: Lowering<NoAttributes> = (b, inputs) => {
  const constants = inputs.flatMap((input) => {
    const values = input.dtype === 'int64' ? b.graph.constants.get(input) : undefined;
    return values ? [Array.from(values as BigInt64Array, Number)] : [];
  });
  if (constants.length === 0) return [b.op('Equal', inputs)];
  const largest = Math.max(...constants.flat());
  const numbers = b.graph.constant(
    Float32Array.from({ length: largest + 1 }, (_, i) => i),
    [largest + 1],
    'float32',
  );
  return [
    b.op(
      'Equal',
      inputs.map((input) => asFloats(b, input, numbers)),
    ),
  ];
};

/** `numbers`: 0, 1, 2 and so on. */
function asFloats(b: Builder, value: Value, numbers: Value): Value {
  const constant = b.graph.constants.get(value);
  if (constant) {
    return b.graph.constant(Float32Array.from(constant as BigInt64Array, Number), value.dims, 'float32');
  }
  // Reshape of int64 has no kernel either.
  const [before] = value.producer?.op === 'Reshape' ? value.producer.inputs : [];
  return before
    ? b.reshape(asFloats(b, before, numbers), value.dims)
    : b.op('Gather', [numbers, value], { axis: 0 });
}
