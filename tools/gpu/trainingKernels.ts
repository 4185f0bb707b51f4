import type { KernelTable } from './kernelTable.js';

/**
 * Operators that onnxruntime-training 1.19.2 has beside those of onnxruntime-gpu 1.19.2. It does not list its kernels;
 * these are the types in which its own CUDA provider took every node of `ort-training` graphs (`cuda_without_gpu.py place`).
 */
export const trainingKernels = {
  /** Of the stock build whose kernels it has, too. */
  version: '1.19.2',
  signatures: {
    'com.microsoft.BatchNormInternal': 'T T1 T1 T2 T2 > T T2 T2 T2 T2',
    'com.microsoft.BatchNormalizationGrad': 'T T T1 T2 T2 > T T1 T1',
    'com.microsoft.ConvGrad': 'T T T > T T T',
    'com.microsoft.ReluGrad': 'T T > T',
    'com.microsoft.SoftmaxCrossEntropyLossInternal': 'T Tind > T T',
  },
  kernels: {
    'com.microsoft.BatchNormInternal': [
      '1- T:float32 T1:float32 T2:float32',
      '1- T:float16 T1:float32 T2:float32',
    ],
    'com.microsoft.BatchNormalizationGrad': [
      '1- T:float32 T1:float32 T2:float32',
      '1- T:float16 T1:float32 T2:float32',
    ],
    'com.microsoft.ConvGrad': ['1- T:float32,float16'],
    'com.microsoft.ReluGrad': ['1- T:float32,float16'],
    'com.microsoft.SoftmaxCrossEntropyLossInternal': ['1- T:float32 Tind:int64'],
  },
} as const satisfies {
  version: string;
  signatures: Record<string, string>;
  kernels: KernelTable['kernels'][string];
};
