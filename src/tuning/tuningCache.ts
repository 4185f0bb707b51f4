import { cpus } from 'node:os';
import { z } from 'zod';
import { ortLibrary } from '../engines/ortLibrary.js';
import { noChoices } from '../targets/cpu/choices.js';
import type { KernelRules } from '../targets/cpu/guard.js';
import { version } from '../version.js';
import { choiceTableSchema } from './targetRecord.js';
import { tuningFiles } from './tuningFile.js';

/** What measurements are valid for; the shapes are the keys of the table. */
export interface TuningKey {
  readonly cpu: string;
  readonly onnxruntime: string;
  /** Version of this package, whose lowerings were measured. */
  readonly slimclr: string;
  readonly threads: number;
  /** Channels of a block. */
  readonly block: number;
  readonly plainGroups: boolean;
}

/** `library`: path of the ONNX Runtime, '' for the one of the package. */
export function tuningKey(threads: number, { block, plainGroups }: KernelRules, library = ''): TuningKey {
  const cpu = cpus()[0]?.model ?? 'unknown';
  return { cpu, onnxruntime: ortLibrary(library).version, slimclr: version, threads, block, plainGroups };
}

export const cpuTuningFiles = tuningFiles({
  format: 'slimclr-tuning-cache',
  version: 2,
  prefix: '',
  key: z.strictObject({
    cpu: z.string(),
    onnxruntime: z.string(),
    slimclr: z.string(),
    threads: z.int(),
    block: z.int(),
    plainGroups: z.boolean(),
  }),
  choices: choiceTableSchema,
  none: noChoices,
});
