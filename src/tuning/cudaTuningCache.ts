import { z } from 'zod';
import { noCudaChoices } from '../targets/cuda/choices.js';
import { cudaChoiceTableSchema } from './targetRecord.js';
import { tuningFiles } from './tuningFile.js';

/** What measurements are valid for; shapes and element types are the keys of the table. */
export interface CudaTuningKey {
  /** The GPU, e.g. `NVIDIA H100 80GB HBM3, 570.86.15`: its name and its driver's version. */
  readonly device: string;
  readonly onnxruntime: string;
  /** Version of this package, whose lowerings were measured. */
  readonly slimclr: string;
  /** What else changes the speed of kernels, e.g. whether TF32 is used. */
  readonly options: string;
}

export const cudaTuningFiles = tuningFiles({
  format: 'slimclr-tuning-cuda',
  version: 1,
  prefix: 'cuda-',
  key: z.strictObject({
    device: z.string(),
    onnxruntime: z.string(),
    slimclr: z.string(),
    options: z.string(),
  }),
  choices: cudaChoiceTableSchema,
  none: noCudaChoices,
});
