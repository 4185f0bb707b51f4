import { readFileSync } from 'node:fs';
import type { OnnxModel, OnnxNode } from '../../src/onnx/model.js';

/** Kernels of CUDA providers by version of onnxruntime-gpu, as `npm run gpu -- kernels` writes them. */
export interface KernelTable {
  /** By domain and operator, by the opset from which it holds, e.g. `T T T > T`. */
  readonly signatures: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** By version and operator: opsets and the types that a kernel takes, e.g. `11-21 T:float32,float64`. */
  readonly kernels: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

/** Under which the table has onnxruntime-training 1.19.2. */
export const trainingVersion = '1.19.2 training';

/** The table lies beside the TypeScript sources, not beside what is compiled from them. */
export const kernelTableFile = new URL('../../../tools/gpu/kernels.json', import.meta.url);

export function readKernelTable(): KernelTable {
  return JSON.parse(readFileSync(kernelTableFile, 'utf8')) as KernelTable;
}

/** Operator and types of a node, which decide whether a kernel takes it. */
export interface NodeKind {
  /** e.g. `Relu(float32) -> float32, e.g. encoder.relu1/Relu`. */
  readonly title: string;
  readonly key: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly opset: number;
}

/** The kinds of nodes of models, each once, with the first such node. */
export function nodeKinds(models: Iterable<OnnxModel>): NodeKind[] {
  const kinds = new Map<string, NodeKind>();
  for (const { inputs, outputs, values, initializers, nodes, opsets } of models) {
    const types = new Map<string, string>();
    for (const { name, type } of [...inputs, ...outputs, ...values, ...initializers])
      types.set(name, type.dtype);
    for (const node of nodes) {
      const key = keyOf(node);
      const [from, to] = [node.inputs, node.outputs].map((names) =>
        names.map((name) => types.get(name) ?? ''),
      );
      const opset = opsets[node.domain]!;
      const signature = `${key}(${from!.join(', ')}) -> ${to!.join(', ')}`;
      const kind = `${signature} ${opset}`;
      if (kinds.has(kind)) continue;
      kinds.set(kind, { title: `${signature}, e.g. ${node.name}`, key, inputs: from!, outputs: to!, opset });
    }
  }
  return [...kinds.values()];
}

/** Those of the kinds for which a version's CUDA provider has no kernel, by title. */
export function missingKernels(kinds: readonly NodeKind[], version: string, table: KernelTable): string[] {
  return kinds.filter((kind) => !hasKernel(kind, version, table)).map(({ title }) => title);
}

function keyOf({ domain, opType }: OnnxNode): string {
  return domain === '' ? opType : `${domain}.${opType}`;
}

function hasKernel(
  { key, inputs, outputs, opset }: NodeKind,
  version: string,
  { signatures, kernels }: KernelTable,
): boolean {
  const sinces = Object.keys(signatures[key] ?? {}).map(Number);
  const since = Math.max(...sinces.filter((each) => each <= opset));
  const signature = signatures[key]?.[since];
  if (signature === undefined) return false;
  const [left = '', right = ''] = signature.split('>').map((side) => side.trim());
  const bound = new Map([...namesOf(left, inputs), ...namesOf(right, outputs)]);
  return (kernels[version]?.[key] ?? []).some((kernel) => {
    const [range = '', ...constraints] = kernel.split(' ');
    const [first, last] = range.split('-');
    if (since < Number(first) || (last !== '' && since > Number(last))) return false;
    return constraints.every((constraint) => {
      const [name = '', allowed = ''] = constraint.split(':');
      const type = bound.get(name);
      return type === undefined || allowed.split(',').includes(type);
    });
  });
}

/** Type variables of a signature's side and what they are bound to; the last one stands for all that follow. */
function namesOf(side: string, types: readonly string[]): (readonly [string, string])[] {
  const formals = side.split(' ').map((formal) => formal.replace('...', ''));
  return types.flatMap((type, at) => (type === '' ? [] : [[formals[at] ?? formals.at(-1)!, type] as const]));
}
