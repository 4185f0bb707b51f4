import { Builder, type Offset } from 'flatbuffers';
import { bytesOf, elementFormats } from '../../onnx/model.js';

/** A parameter of a checkpoint, float32. */
export interface CheckpointParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface TrainingCheckpoint {
  readonly trained: readonly CheckpointParameter[];
  readonly frozen: readonly CheckpointParameter[];
  /** Properties that programs read by name. */
  readonly properties: Readonly<Record<string, string>>;
}

/** Of onnxruntime-training 1.17 to 1.19. */
const version = 2;
const fileIdentifier = 'ODTC';

/**
 * The checkpoint file of onnxruntime-training's on-device API: flatbuffers of ONNX Runtime's
 * orttraining/training_api/checkpoint.fbs, of which these fields are written, by number:
 *
 *   Checkpoint 0 version, 1 module_state, 3 property_bag
 *   ModuleState 0 requires_grad_params, 1 frozen_params
 *   Tensor 0 name, 2 dims, 3 data_type, 4 raw_data
 *   PropertyBag 2 strings; StringProperty 0 name, 1 value
 */
export function encodeCheckpoint({ trained, frozen, properties }: TrainingCheckpoint): Uint8Array {
  const bytes = [...trained, ...frozen].reduce((sum, { values }) => sum + values.byteLength, 0);
  const b = new Builder(bytes + 65536);
  const table = (fields: readonly (Offset | null)[]): Offset => {
    b.startObject(fields.length);
    for (const [i, field] of fields.entries()) if (field !== null) b.addFieldOffset(i, field, 0);
    return b.endObject();
  };
  const vector = (offsets: readonly Offset[]): Offset => {
    b.startVector(4, offsets.length, 4);
    for (const offset of offsets.toReversed()) b.addOffset(offset);
    return b.endVector();
  };
  const tensor = ({ name, shape, values }: CheckpointParameter): Offset => {
    const data = b.createByteVector(bytesOf(values));
    b.startVector(8, shape.length, 8);
    for (const dimension of shape.toReversed()) b.addInt64(BigInt(dimension));
    const dims = b.endVector();
    const called = b.createString(name);
    b.startObject(7);
    b.addFieldOffset(0, called, 0);
    b.addFieldOffset(2, dims, 0);
    b.addFieldInt32(3, elementFormats.float32.onnx, 0);
    b.addFieldOffset(4, data, 0);
    return b.endObject();
  };
  const moduleState = table([vector(trained.map(tensor)), vector(frozen.map(tensor)), null, null]);
  const strings = Object.entries(properties).map(([name, value]) =>
    table([b.createString(name), b.createString(value)]),
  );
  const propertyBag = table([null, null, vector(strings)]);
  b.startObject(4);
  b.addFieldInt32(0, version, 0);
  b.addFieldOffset(1, moduleState, 0);
  b.addFieldOffset(3, propertyBag, 0);
  b.finish(b.endObject(), fileIdentifier);
  return b.asUint8Array();
}
