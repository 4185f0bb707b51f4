import { encodeModel, irVersionFor, type NamedType, type OnnxNode } from '../../onnx/model.js';
import { portable } from '../../targets/portable.js';
import { version } from '../../version.js';

/** AdamW as PyTorch has it, with its defaults. */
export const adamwSettings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 } as const;

/** The learning rate of the API where nobody sets it; in a browser nobody can. */
export const defaultLearningRate = 0.001;

/**
 * The optimizer of onnxruntime-training's on-device API, one AdamW for all parameters: names and order of its inputs
 * are what the API feeds. `learningRate` is what the API's default stands for: the optimizer multiplies the rate that
 * it is given by `learningRate / defaultLearningRate`.
 */
export function optimizerModel(learningRate = defaultLearningRate): Uint8Array {
  const { beta1, beta2, epsilon, weightDecay } = adamwSettings;
  const sequence = (name: string): NamedType => ({
    name,
    type: { dtype: 'float32', shape: [] },
    sequence: true,
  });
  const inputs: readonly NamedType[] = [
    { name: 'learning_rate', type: { dtype: 'float32', shape: [1] } },
    { name: 'step', type: { dtype: 'int64', shape: [1] } },
    ...['params', 'gradients', 'first_order_moments', 'second_order_moments'].map(sequence),
  ];
  const factor = learningRate / defaultLearningRate;
  const [rate, ...others] = inputs as [NamedType, ...NamedType[]];
  const isScaled = factor !== 1;
  const output: NamedType = { name: 'updated', type: { dtype: 'bool', shape: [1] } };
  return encodeModel({
    graphName: 'adamw',
    opsets: { '': portable.opset, 'com.microsoft': 1 },
    irVersion: irVersionFor(portable.opset),
    producer: 'slimclr',
    producerVersion: version,
    metadata: {},
    inputs,
    outputs: [output],
    values: [],
    initializers: isScaled
      ? [{ ...rate, name: 'factor', data: { kind: 'inline', values: Float32Array.of(factor) } }]
      : [],
    nodes: [
      ...(isScaled ? [multiplication(rate.name, 'factor', 'scaled_learning_rate')] : []),
      {
        name: 'adamw',
        opType: 'AdamWOptimizer',
        domain: 'com.microsoft',
        inputs: [isScaled ? 'scaled_learning_rate' : rate.name, ...others.map(({ name }) => name)],
        outputs: [output.name],
        attributes: {
          alpha: { float: beta1 },
          beta: { float: beta2 },
          epsilon: { float: epsilon },
          weight_decay: { float: weightDecay },
          // PyTorch's order: the decay before the step.
          adam_mode: 0,
          correct_bias: 1,
        },
      },
    ],
  });
}

function multiplication(a: string, b: string, product: string): OnnxNode {
  return { name: product, opType: 'Mul', domain: '', inputs: [a, b], outputs: [product], attributes: {} };
}
