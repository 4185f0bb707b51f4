import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256 } from '../onnx/hash.js';
import { replaceFile } from '../replaceFile.js';
import { noCudaChoices, type CudaChoiceTable } from '../targets/cuda/choices.js';
import { cudaChoiceTableSchema, parseAs } from './targetRecord.js';

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

const fileSchema = z.strictObject({
  format: z.literal('slimclr-tuning-cuda'),
  version: z.literal(1),
  key: z.strictObject({
    device: z.string(),
    onnxruntime: z.string(),
    slimclr: z.string(),
    options: z.string(),
  }),
  choices: cudaChoiceTableSchema,
});

/** What was measured for a key before. A file that is torn, or not of this key, counts as none. */
export async function readCudaTuningCache(directory: string, key: CudaTuningKey): Promise<CudaChoiceTable> {
  const content = parseAs(fileSchema, await readFile(pathOf(directory, key), 'utf8').catch(() => ''));
  return content && words(content.key) === words(key) ? content.choices : noCudaChoices;
}

/** Keeps measurements; those of other shapes stay. */
export async function writeCudaTuningCache(
  directory: string,
  key: CudaTuningKey,
  choices: CudaChoiceTable,
): Promise<void> {
  const known = await readCudaTuningCache(directory, key);
  const content: z.infer<typeof fileSchema> = {
    format: 'slimclr-tuning-cuda',
    version: 1,
    key,
    choices: {
      forward: { ...known.forward, ...choices.forward },
      inputGradient: { ...known.inputGradient, ...choices.inputGradient },
      weightGradient: { ...known.weightGradient, ...choices.weightGradient },
    },
  };
  await replaceFile(pathOf(directory, key), (partial) =>
    writeFile(partial, `${JSON.stringify(content, null, 2)}\n`),
  );
}

function pathOf(directory: string, key: CudaTuningKey): string {
  return join(directory, 'tuning', `cuda-${sha256(Buffer.from(words(key))).slice(0, 16)}.json`);
}

function words({ device, onnxruntime, slimclr, options }: CudaTuningKey): string {
  return JSON.stringify([device, onnxruntime, slimclr, options]);
}
