import { join } from 'node:path';
import { decodeModel, elementCount, type NamedType, type OnnxModel, type TensorType } from '../onnx/model.js';
import { readNamedFile } from '../plainFile.js';
import { convFlops } from '../ops/conv.js';
import { operators, type NodeOperator } from '../ops/index.js';
import type { GraphEntry, Manifest } from '../programs/manifest.js';
import { readManifest } from '../programs/readManifest.js';

/** What one ONNX file holds. */
export interface ModelSummary {
  readonly graph: string;
  /** Operator sets by domain; the empty string is the standard one. */
  readonly opsets: Readonly<Record<string, number>>;
  /** `hasDefault`: the file brings a value along. */
  readonly inputs: readonly (NamedType & { readonly hasDefault: boolean })[];
  readonly outputs: readonly NamedType[];
  readonly nodes: number;
  /** Operator names with the number of their nodes, the most frequent first. */
  readonly operators: readonly (readonly [string, number])[];
  /**
   * Floating-point operations of the convolutions and matrix products, a multiply-add counting as two, a
   * symbolic batch as one sample; undefined where the file does not state the types they need.
   */
  readonly productFlops: number | undefined;
  /** Elements of the floating-point initializers that are no scalars. */
  readonly parameters: number;
}

/** A graph of a program folder and the size of its file. */
export interface ProgramSummary {
  readonly entry: GraphEntry;
  readonly nodes: number;
}

export function summarizeModel(model: OnnxModel): ModelSummary {
  const defaults = new Set(model.initializers.map(({ name }) => name));
  const counts = new Map<string, number>();
  for (const { domain, opType } of model.nodes) {
    const name = domain === '' ? opType : `${domain}.${opType}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const isWeight = ({ type }: NamedType) => type.dtype.startsWith('float') && type.shape.length > 0;
  return {
    graph: model.graphName,
    opsets: model.opsets,
    inputs: model.inputs.map((input) => ({ ...input, hasDefault: defaults.has(input.name) })),
    outputs: model.outputs,
    nodes: model.nodes.length,
    operators: [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)),
    productFlops: productFlops(model),
    parameters: model.initializers
      .filter(isWeight)
      .reduce((sum, { type }) => sum + elementCount(type.shape), 0),
  };
}

/** The manifest of a program folder with a summary of each graph. */
export async function summarizePrograms(
  folder: string,
): Promise<{ manifest: Manifest; programs: ProgramSummary[] }> {
  const manifest = await readManifest(folder);
  const programs: ProgramSummary[] = [];
  for (const entry of manifest.graphs) {
    const bytes = await readNamedFile(folder, entry.file);
    programs.push({ entry, nodes: decodeModel(bytes, join(folder, entry.file)).nodes.length });
  }
  return { manifest, programs };
}

/** Operators that are sums of products, as papers count them. */
const products = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul'] as const;

function productFlops(model: OnnxModel): number | undefined {
  const types = new Map<string, TensorType>(
    [model.inputs, model.outputs, model.values, model.initializers].flatMap((values) =>
      values.map(({ name, type }) => [name, type] as const),
    ),
  );
  let total = 0;
  for (const { opType, domain, inputs, outputs, attributes } of model.nodes) {
    if (domain === 'com.microsoft' && opType === 'ConvGrad') {
      const [dy, w] = [inputs[0]!, inputs[2]!].map((name) => types.get(name));
      if (!dy || !w) return undefined;
      // Each gradient has as many products as the convolution.
      total += convFlops(w, dy) * outputs.slice(0, 2).filter((name) => name !== '').length;
      continue;
    }
    const product = domain === '' ? products.find((name) => name === opType) : undefined;
    if (product === undefined) continue;
    const [a, b, out] = [inputs[0]!, inputs[1]!, outputs[0]!].map((name) => types.get(name));
    if (!a || !b || !out) return undefined;
    const operator = operators[product] as NodeOperator;
    // Of the attributes, transA alone changes how many products there are.
    total += operator.flops!([a, b], [out], { transA: attributes['transA'] === 1 });
  }
  return total;
}
