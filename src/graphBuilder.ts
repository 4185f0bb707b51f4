/**
 * `slimclr/graph`: build a graph of ONNX operators, differentiate it, lower it for a runtime, emit it as an ONNX
 * model. Loads no ONNX Runtime.
 */
export {
  Graph,
  Value,
  type Attributes,
  type Default,
  type Dimension,
  type ElementType,
  type Node,
  type TensorType,
  type TypedArray,
} from './graph/graph.js';
export { Builder } from './ops/builder.js';
export type { Lowering, OperatorAttributes, OpName } from './ops/operator.js';
export { gradients } from './autodiff.js';

// Lowering
export { lower } from './targets/lower.js';
export { cpu } from './targets/index.js';
export { portable } from './targets/portable.js';
export { pack, storedShape, unpack, type ParameterLayout } from './targets/parameterLayout.js';
export type { LoweringRules, ParameterPlaces, Target } from './targets/target.js';

// ONNX
export { emit, type EmitOptions } from './targets/emit.js';
export {
  decodeModel,
  encodeModel,
  type AttributeValue,
  type Initializer,
  type NamedType,
  type OnnxModel,
  type OnnxNode,
} from './onnx/model.js';
export { modelText } from './onnx/text.js';
export { diffModels, formatDifference, type Change, type ModelDifference } from './onnx/diff.js';
