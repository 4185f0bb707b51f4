import type { TensorData } from '../onnx/safetensors.js';
import { unpack, type ParameterLayout } from '../targets/parameterLayout.js';

/** Where a copy holds a tensor, and how. */
export interface CopiedTensor {
  /** As in a checkpoint. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly layout: ParameterLayout;
  /** Elements `start` to `end`, exclusive, of its part. */
  readonly start: number;
  readonly end: number;
}

/** One arena: all its elements, those between the tensors too, in memory that threads share. */
export interface CopiedPart {
  readonly values: Float32Array<SharedArrayBuffer>;
  readonly tensors: readonly CopiedTensor[];
}

/** A state at one moment. A structured clone is the same memory. */
export interface StateCopy {
  readonly parts: readonly CopiedPart[];
  /** What is no part of an arena, by its name in a checkpoint. */
  readonly others: ReadonlyMap<string, TensorData>;
}

/** Name of the first tensor of a copy with an infinite value or NaN; null when there is none. */
export function firstNotFinite({ parts }: StateCopy): string | null {
  for (const { values, tensors } of parts) {
    if (isFinite(values)) continue;
    return tensors.find(({ start, end }) => !isFinite(values.subarray(start, end)))!.name;
  }
  return null;
}

/** The tensors of a copy as a checkpoint holds them, row-major: views of its memory, in which they are reordered. */
export function takeTensors({ parts, others }: StateCopy): Map<string, TensorData> {
  const tensors = new Map<string, TensorData>();
  for (const { values, tensors: places } of parts) {
    for (const { name, shape, layout, start, end } of places) {
      const data = values.subarray(start, end);
      if (layout !== 'plain') data.set(unpack(data, shape, layout));
      tensors.set(name, { dtype: 'float32', shape, data });
    }
  }
  for (const [name, tensor] of others) tensors.set(name, tensor);
  return tensors;
}

function isFinite(values: Float32Array): boolean {
  // A difference of what is not finite is NaN; of all else 0.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! - values[i]!;
  return sum === 0;
}
