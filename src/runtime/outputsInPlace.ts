import onnxProto from 'onnx-proto';

const { ModelProto, TensorProto } = onnxProto.onnx;

/** An output of the models that `withSentinel` gives: a sequence without elements. */
export const sentinel = 'outputs_are_in_place';

/**
 * onnxruntime-node writes an output into the tensor it is given, then copies it into a new array all the same,
 * which for a step of training costs as much as the optimiser. It converts the outputs in their order and gives up at
 * the first one that is no tensor: behind a sequence nothing is copied, while everything is computed and in place.
 * A model in memory gets such an output in front of its own.
 */
export function withSentinel(model: Uint8Array): Uint8Array {
  // Repeated fields of protobuf messages that follow each other are joined.
  return Buffer.concat([prefix, model]);
}

const prefix = ModelProto.encode({
  graph: {
    node: [{ opType: 'SequenceEmpty', name: sentinel, output: [sentinel] }],
    output: [
      {
        name: sentinel,
        type: { sequenceType: { elemType: { tensorType: { elemType: TensorProto.DataType.FLOAT } } } },
      },
    ],
  },
}).finish();

/** Whether a run failed at nothing but the conversion of the sentinel, after it had written all outputs. */
export function stoppedAtSentinel(error: unknown): boolean {
  return error instanceof Error && error.message === 'Non tensor type is temporarily not supported.';
}
