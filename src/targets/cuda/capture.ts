import type { OnnxModel } from '../../onnx/model.js';

/** Operators that hold graphs of their own, which run node by node under the eyes of the host. */
const controlFlow = new Set(['If', 'Loop', 'Scan', 'SequenceMap']);
/** Operators whose output's shape depends on values, which the host has to read. */
const shapedByValues = new Set(['NonZero', 'Unique', 'Compress', 'NonMaxSuppression', 'Range']);

/**
 * Why a model cannot be captured as a CUDA graph and launched as one; null where it can: every shape follows from those
 * that its inputs are bound to, and every node runs on the device without the host. Whether each node has a CUDA kernel
 * is known to ONNX Runtime, which refuses to capture a session that has not; the graphs of the `cuda` target all do
 * (tools/gpu/kernels.json). What is captured stays bound to the same memory: each binding of a graph is a capture.
 */
export function captureProblem({ inputs, outputs, values, nodes }: OnnxModel): string | null {
  for (const { opType, name } of nodes) {
    if (controlFlow.has(opType)) {
      return `node ${name} is ${article(opType)} ${opType}, whose body the host runs`;
    }
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

function article(noun: string): string {
  return /^[AEIO]/.test(noun) ? 'an' : 'a';
}
