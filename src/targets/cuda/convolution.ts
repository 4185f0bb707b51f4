import type { TensorType } from '../../graph/graph.js';
import { elementCount } from '../../onnx/model.js';
import { ConvInputGrad, transposedConv, type ConvInputGradAttributes } from '../../ops/convInputGrad.js';
import type { ConvAttributes } from '../../ops/conv.js';
import type { Lowering } from '../../ops/operator.js';
import { openForms, type CudaChoices, type CudaConv } from './choices.js';

/** Shapes of a convolution with what ONNX leaves out; null where one is symbolic. */
export function cudaConv(
  x: TensorType,
  weight: readonly number[],
  y: TensorType,
  { strides, pads, dilations = [1, 1], group = 1 }: ConvAttributes,
): CudaConv | null {
  if (![...x.shape, ...y.shape].every((size) => typeof size === 'number')) return null;
  const [batch, inputs, ...inputSize] = x.shape as [number, number, number, number];
  const [, outputs, ...outputSize] = y.shape as [number, number, number, number];
  const [, , ...window] = weight as [number, number, number, number];
  return {
    dtype: x.dtype,
    ...{ batch, inputs, outputs, window, inputSize, outputSize },
    ...{ strides, pads, dilations, group },
  };
}

/** Conv: as it is, or, of a 1x1 window, W `[K, C]` times each sample `[C, H W]`. */
export function forward(choices: CudaChoices): Lowering<ConvAttributes> {
  return (b, inputs, attributes, [y]) => {
    const [x, weight, bias] = inputs;
    const conv = cudaConv(x!.type, weight!.dims, y!, attributes);
    const asked = conv && !bias && openForms(conv).forward.length > 1;
    if (!asked || choices.forward(conv) === 'convolution') return [b.op('Conv', inputs, attributes)];
    const { batch, inputs: channels, outputs, inputSize } = conv;
    const matrix = b.reshape(weight!, [outputs, channels]);
    const product = b.op('MatMul', [matrix, b.reshape(x!, [batch, channels, elementCount(inputSize)])]);
    return [b.reshape(product, [batch, outputs, ...inputSize])];
  };
}

/** ConvInputGrad by the form that is chosen; the window of a transposed convolution is that of the forward one. */
export function inputGradient(choices: CudaChoices): Lowering<ConvInputGradAttributes> {
  return (b, [dy, weight], attributes, [dx]) => {
    const conv = cudaConv(dx!, weight!.dims, dy!.type, attributes);
    const asked = conv && openForms(conv).inputGradient.length > 1;
    const form = asked ? choices.inputGradient(conv) : 'transposed';
    if (form === 'convolution') return ConvInputGrad.lower(b, [dy!, weight!], attributes, [dx!]);
    if (form === 'product') {
      const { batch, inputs, outputs, inputSize } = conv!;
      const matrix = b.op('Transpose', [b.reshape(weight!, [outputs, inputs])], { perm: [1, 0] });
      const product = b.op('MatMul', [matrix, b.reshape(dy!, [batch, outputs, elementCount(inputSize)])]);
      return [b.reshape(product, [batch, inputs, ...inputSize])];
    }
    return [transposedConv(b, dy!, weight!, attributes)];
  };
}
