import { Abs } from './abs.js';
import { Add } from './add.js';
import { AddBlock } from './addBlock.js';
import { BatchNormTrain } from './batchNormTrain.js';
import { BatchNormTrainGrad } from './batchNormTrainGrad.js';
import { BatchNormalization } from './batchNormalization.js';
import { Cast } from './cast.js';
import { Clip } from './clip.js';
import { Concat } from './concat.js';
import { Conv } from './conv.js';
import { ConvInputGrad } from './convInputGrad.js';
import { ConvTranspose } from './convTranspose.js';
import { ConvWeightGrad } from './convWeightGrad.js';
import { DequantizeLinear } from './dequantizeLinear.js';
import { Div } from './div.js';
import { Equal } from './equal.js';
import { Exp } from './exp.js';
import { Expand } from './expand.js';
import { Flatten } from './flatten.js';
import { Gather } from './gather.js';
import { Gemm } from './gemm.js';
import { GlobalAveragePool } from './globalAveragePool.js';
import { Greater } from './greater.js';
import { Identity } from './identity.js';
import { L2Normalize } from './l2Normalize.js';
import { Log } from './log.js';
import { LogSoftmax } from './logSoftmax.js';
import { MatMul } from './matMul.js';
import { MaxPool } from './maxPool.js';
import { MaxPoolGrad } from './maxPoolGrad.js';
import { Mul } from './mul.js';
import { Neg } from './neg.js';
import { Pad } from './pad.js';
import { QuantizeLinear } from './quantizeLinear.js';
import { Reciprocal } from './reciprocal.js';
import { ReduceMax } from './reduceMax.js';
import { ReduceMean } from './reduceMean.js';
import { ReduceSum } from './reduceSum.js';
import { ReduceSumSquare } from './reduceSumSquare.js';
import { Relu } from './relu.js';
import { ReluGrad } from './reluGrad.js';
import { Reshape } from './reshape.js';
import { Resize } from './resize.js';
import { ScatterElements } from './scatterElements.js';
import { Shape } from './shape.js';
import { Sigmoid } from './sigmoid.js';
import { Sign } from './sign.js';
import { Slice } from './slice.js';
import { SoftCrossEntropy } from './softCrossEntropy.js';
import { Softmax } from './softmax.js';
import { SoftmaxCrossEntropy } from './softmaxCrossEntropy.js';
import { SoftmaxCrossEntropyLoss, SoftmaxCrossEntropyLossGrad } from './softmaxCrossEntropyLoss.js';
import { Split } from './split.js';
import { Sqrt } from './sqrt.js';
import { Sub } from './sub.js';
import { Transpose } from './transpose.js';
import { Where } from './where.js';
import type { Node } from '../graph/graph.js';
import type { CompositeOperator, OpName, StandardOperator } from './operator.js';

/** The one table of operators, which names and attribute types are read off: what it lacks does not compile. */
export const operators = {
  Abs,
  Add,
  AddBlock,
  BatchNormTrain,
  BatchNormTrainGrad,
  BatchNormalization,
  Cast,
  Clip,
  Concat,
  Conv,
  ConvInputGrad,
  ConvTranspose,
  ConvWeightGrad,
  DequantizeLinear,
  Div,
  Equal,
  Exp,
  Expand,
  Flatten,
  Gather,
  Gemm,
  GlobalAveragePool,
  Greater,
  Identity,
  L2Normalize,
  Log,
  LogSoftmax,
  MatMul,
  MaxPool,
  MaxPoolGrad,
  Mul,
  Neg,
  Pad,
  QuantizeLinear,
  Reciprocal,
  ReduceMax,
  ReduceMean,
  ReduceSum,
  ReduceSumSquare,
  Relu,
  ReluGrad,
  Reshape,
  Resize,
  ScatterElements,
  Shape,
  Sigmoid,
  Sign,
  Slice,
  SoftCrossEntropy,
  Softmax,
  SoftmaxCrossEntropy,
  SoftmaxCrossEntropyLoss,
  SoftmaxCrossEntropyLossGrad,
  Split,
  Sqrt,
  Sub,
  Transpose,
  Where,
} as const;

/** An operator whose attribute type is that of the node at hand. */
export type NodeOperator = StandardOperator<object> | CompositeOperator<object>;

/** The operator of a node; null for a raw node that a target put in. */
export function operatorOf(node: Node): NodeOperator | null {
  if (!(node.op in operators)) return null;
  // A node's attributes were typed by its operator when the Builder added it.
  const operator = operators[node.op as OpName] as NodeOperator;
  // Runtimes have operators of their own by these names, such as ReluGrad.
  return operator.domain === node.domain ? operator : null;
}
