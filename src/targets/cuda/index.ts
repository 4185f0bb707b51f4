import type { Target } from '../target.js';
import { cudaBuiltIn, type CudaChoices } from './choices.js';
import { forward, inputGradient } from './convolution.js';
import { weightGradient } from './weightGradient.js';

/**
 * Stock ONNX Runtime on CUDA: standard operators only, convolutions and their gradients by what reaches cuBLAS and
 * cuDNN. cuDNN's kernels for weight gradients are out of reach, hence products of matrices.
 */
export function cudaTarget(choices: CudaChoices = cudaBuiltIn): Target {
  return {
    name: 'cuda',
    opset: 17,
    optimization: 'all',
    rules: {
      Conv: forward(choices),
      ConvInputGrad: inputGradient(choices),
      ConvWeightGrad: weightGradient(choices),
    },
  };
}
