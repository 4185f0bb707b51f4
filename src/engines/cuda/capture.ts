import { readFile } from 'node:fs/promises';
import { oneLine, SlimclrError } from '../../errors.js';
import { decodeModel } from '../../onnx/decode.js';
import { elementCount } from '../../onnx/model.js';
import type { Place } from '../engine.js';

/** Operators whose output's shape depends on values, which the host has to read. */
const shapedByValues = new Set(['NonZero', 'Unique', 'Compress', 'NonMaxSuppression', 'Range']);

/**
 * Why the runs of a model, its bytes or the path of its file, cannot be captured as a CUDA graph and launched as one; null where they can: every shape follows
 * from those that its inputs are bound to, and every node runs on the device without the host. Whether each node has a CUDA
 * kernel is known to ONNX Runtime, which refuses to capture a session that has not; the graphs of the `cuda` target all do
 * (tools/gpu/kernels.json). What is captured stays bound to the same memory: each binding of a graph is a capture.
 */
export async function captureProblem(file: Uint8Array | string): Promise<string | null> {
  const bytes = typeof file === 'string' ? await readFile(file) : file;
  let model;
  try {
    model = decodeModel(bytes);
  } catch (error) {
    // Among what it does not read are Loop and If: the host runs their bodies.
    if (error instanceof SlimclrError) return oneLine(error);
    throw error;
  }
  const { inputs, outputs, values, nodes } = model;
  for (const { opType, name } of nodes) {
    if (shapedByValues.has(opType)) {
      return `node ${name} is ${article(opType)} ${opType}, whose output's shape the host reads`;
    }
  }
  const bound = new Set(inputs.flatMap(({ type }) => type.shape));
  for (const { name, type } of [...outputs, ...values]) {
    const free = type.shape.find((size) => typeof size === 'string' && (size === '' || !bound.has(size)));
    if (free !== undefined) return `${name} has a dimension "${free}" that no input fixes`;
  }
  return null;
}

/**
 * Whether a run writes where it reads. A run is done once before it is captured: one that does would take its step
 * twice, and is not captured.
 */
export function writesWhatItReads(inputs: readonly Place[], outputs: readonly Place[]): boolean {
  const end = ({ offset, shape }: Place) => offset + elementCount(shape);
  return outputs.some((output) =>
    inputs.some(
      (input) => input.memory === output.memory && input.offset < end(output) && output.offset < end(input),
    ),
  );
}

function article(noun: string): string {
  return /^[AEIO]/.test(noun) ? 'an' : 'a';
}
