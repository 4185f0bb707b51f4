import type { ElementType, Graph } from '../../graph/graph.js';
import type { Lowering, OpName, OperatorAttributes } from '../../ops/operator.js';
import { operators } from '../../ops/index.js';
import { lowerByRules } from '../lower.js';
import type { LoweringRules, Target } from '../target.js';
import { BatchNorms } from './batchNorm.js';
import { convInputGrad, convWeightGrad } from './convGrad.js';
import { maxPoolGrad, reluGrad, softmaxCrossEntropy, softmaxCrossEntropyLossGrad } from './rules.js';

export interface OrtTrainingOptions {
  /** Graphs for the CUDA provider, which lacks kernels that the CPU has. */
  readonly cuda: boolean;
}

/**
 * The fused gradient kernels of a build of ONNX Runtime for training: PyPI's onnxruntime-training 1.19.2 and
 * onnxruntime-training-cpu. No other ONNX Runtime loads these graphs.
 */
export function ortTraining({ cuda }: OrtTrainingOptions): Target {
  return {
    name: 'ort-training',
    opset: 17,
    optimization: 'all',
    rewrite(graph: Graph) {
      const batchNorms = new BatchNorms(cuda);
      // The CPU has no kernel of float16, and with its MaxPoolGrad ends the process.
      const types: readonly ElementType[] = cuda ? ['float32', 'float16'] : ['float32'];
      const rules: LoweringRules = {
        BatchNormTrain: fused('BatchNormTrain', batchNorms.train, types),
        BatchNormTrainGrad: fused('BatchNormTrainGrad', batchNorms.grad, types),
        ConvInputGrad: fused('ConvInputGrad', convInputGrad, types),
        ConvWeightGrad: fused('ConvWeightGrad', convWeightGrad, types),
        ReluGrad: fused('ReluGrad', reluGrad, types),
        SoftmaxCrossEntropy: fused('SoftmaxCrossEntropy', softmaxCrossEntropy, ['float32']),
        SoftmaxCrossEntropyLossGrad: fused('SoftmaxCrossEntropyLossGrad', softmaxCrossEntropyLossGrad, [
          'float32',
        ]),
        ...(!cuda && { MaxPoolGrad: fused('MaxPoolGrad', maxPoolGrad, ['float32']) }),
      };
      return lowerByRules(graph, 'ort-training', rules, (b, value) => batchNorms.read(b, value));
    },
  };
}

/** A rule for the types that kernels exist of, whatever the batch; what else there is takes the portable lowering. */
function fused<K extends OpName>(
  op: K,
  rule: Lowering<OperatorAttributes[K]>,
  dtypes: readonly ElementType[],
): Lowering<OperatorAttributes[K]> {
  return (b, inputs, attributes, types) => {
    const lowering = dtypes.includes(types[0]!.dtype) ? rule : portable(op);
    return lowering(b, inputs, attributes, types);
  };
}

function portable<K extends OpName>(op: K): Lowering<OperatorAttributes[K]> {
  const operator = operators[op] as { readonly lower?: Lowering<OperatorAttributes[K]> };
  if (!operator.lower) throw new Error(`${op} is not a composite operator`);
  return operator.lower;
}
