import onnxProto, { type onnx } from 'onnx-proto';
import { SlimclrError } from '../errors.js';

const proto = onnxProto.onnx;

/**
 * Locations of the external data of a model, of whatever origin, in the order of their first use: paths relative to
 * its folder. Throws a SlimclrError for bytes that are no ONNX model.
 */
export function externalFiles(bytes: Uint8Array): string[] {
  let model: onnx.ModelProto;
  try {
    model = proto.ModelProto.decode(bytes);
  } catch (cause) {
    throw new SlimclrError(`not an ONNX model, or a truncated one: ${(cause as Error).message}`, { cause });
  }
  const functions = model.functions ?? [];
  const tensors = [
    ...(model.graph ? ofGraph(model.graph) : []),
    ...functions.flatMap(({ node }) => (node ?? []).flatMap(ofNode)),
  ];
  const locations = tensors
    .filter(({ dataLocation }) => dataLocation === proto.TensorProto.DataLocation.EXTERNAL)
    .map(({ externalData }) => externalData?.find(({ key }) => key === 'location')?.value ?? '');
  return [...new Set(locations)];
}

function ofGraph({ initializer, sparseInitializer, node }: onnx.IGraphProto): onnx.ITensorProto[] {
  return [
    ...(initializer ?? []),
    ...(sparseInitializer ?? []).flatMap(ofSparse),
    ...(node ?? []).flatMap(ofNode),
  ];
}

function ofNode({ attribute }: onnx.INodeProto): onnx.ITensorProto[] {
  return (attribute ?? []).flatMap(({ t, tensors, sparseTensor, sparseTensors, g, graphs }) => [
    ...(t ? [t] : []),
    ...(tensors ?? []),
    ...[...(sparseTensor ? [sparseTensor] : []), ...(sparseTensors ?? [])].flatMap(ofSparse),
    ...[...(g ? [g] : []), ...(graphs ?? [])].flatMap(ofGraph),
  ]);
}

function ofSparse({ values, indices }: onnx.ISparseTensorProto): onnx.ITensorProto[] {
  return [values, indices].filter((tensor) => tensor !== null && tensor !== undefined);
}
