import type { Graph } from '../graph/graph.js';
import { operatorOf, type NodeOperator } from '../ops/index.js';
import { countedElements } from '../ops/shapes.js';

/**
 * Floating-point operations of one run, a multiply-add counting as two, an element-wise operation as one; a
 * symbolic batch counts as one sample. Counted before lowering: what the mathematics asks for, not what one
 * target spends.
 */
export function countFlops(graph: Graph): number {
  let total = 0;
  for (const node of graph.nodes) {
    const operator = operatorOf(node);
    const inputs = node.inputs.map((v) => v?.type ?? null);
    const outputs = node.outputs.map((v) => v.type);
    total += operator?.flops?.(inputs, outputs, node.attributes) ?? countedElements(outputs[0]!.shape);
  }
  return total;
}

/** Multiply-adds of convolutions and matrix products alone, as papers count them. */
export function countMultiplyAdds(graph: Graph): number {
  const products = new Set(['Conv', 'Gemm', 'MatMul']);
  let total = 0;
  for (const node of graph.nodes) {
    if (!products.has(node.op)) continue;
    const operator: NodeOperator = operatorOf(node)!;
    const inputs = node.inputs.map((v) => v?.type ?? null);
    total += operator.flops!(inputs, node.outputs.map((v) => v.type), node.attributes) / 2; // prettier-ignore
  }
  return total;
}
