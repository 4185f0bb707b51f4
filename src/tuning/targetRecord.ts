import { z } from 'zod';
import type { Graph, Node } from '../graph/graph.js';
import { readJsonIfThere } from '../readJson.js';
import { replaceFile } from '../replaceFile.js';
import { tableChoices } from '../targets/cpu/choices.js';
import {
  cudaTableChoices,
  forwardForms,
  inputGradientForms,
  weightGradientForms,
} from '../targets/cuda/choices.js';
import { cudaTarget } from '../targets/cuda/index.js';
import { cpuTarget } from '../targets/cpu/index.js';
import { ortTraining } from '../targets/ortTraining/index.js';
import { portable } from '../targets/portable.js';
import type { Target } from '../targets/target.js';
import { webgpu } from '../targets/webgpu/index.js';

export const choiceTableSchema = z.strictObject({
  folded: z.record(z.string(), z.boolean()),
  winograd: z.record(z.string(), z.boolean()),
  chunk: z.record(z.string(), z.int().positive()),
});

export const cudaChoiceTableSchema = z.strictObject({
  forward: z.record(z.string(), z.enum(forwardForms)),
  inputGradient: z.record(z.string(), z.enum(inputGradientForms)),
  weightGradient: z.record(z.string(), z.enum(weightGradientForms)),
});

const head = { format: z.literal('slimclr-tuning'), version: z.literal(1) };
const recordSchema = z.discriminatedUnion('target', [
  z.strictObject({
    ...head,
    target: z.literal('portable'),
    /** Why it is not the cpu target, where the config would have that. */
    reason: z.string().optional(),
  }),
  z.strictObject({
    ...head,
    target: z.literal('cpu'),
    /** Channels of a block. */
    block: z.union([z.literal(8), z.literal(16)]),
    /** Whether ONNX Runtime was found to take groups over a plain image; records of before rest on that. */
    plainGroups: z.boolean().default(true),
    /** Every choice that the programs of a training step rest on. */
    choices: choiceTableSchema,
  }),
  z.strictObject({
    ...head,
    target: z.literal('cuda'),
    /** Every choice that the programs of a training step rest on. */
    choices: cudaChoiceTableSchema,
  }),
  z.strictObject({ ...head, target: z.literal('webgpu') }),
  z.strictObject({
    ...head,
    target: z.literal('ort-training'),
    /** Whether the graphs are for the CUDA provider. */
    cuda: z.boolean(),
  }),
]);

/** What the programs of a run are lowered for, completely: the same record and config give the same programs. */
export type TargetRecord = z.infer<typeof recordSchema>;

/** Name of the record's file in a run folder. */
export const recordFile = 'tuning.json';

export const recordHead = { format: 'slimclr-tuning', version: 1 } as const;

/** The target of a record. `onDeclined` is told of each convolution that takes the portable lowering. */
export function targetOf(record: TargetRecord, onDeclined?: (graph: Graph, node: Node) => void): Target {
  if (record.target === 'portable') return portable;
  if (record.target === 'webgpu') return webgpu;
  if (record.target === 'cuda') return cudaTarget(cudaTableChoices(record.choices));
  if (record.target === 'ort-training') return ortTraining(record);
  const { block, plainGroups, choices } = record;
  return cpuTarget(block, tableChoices(choices), { plainGroups, onDeclined });
}

/** The record in a file; null when there is no such file. Throws a SlimclrError for a file that holds none. */
export async function readTargetRecord(path: string): Promise<TargetRecord | null> {
  return (await readJsonIfThere(path, recordSchema)) ?? null;
}

export async function writeTargetRecord(path: string, record: TargetRecord): Promise<void> {
  await replaceFile(path, `${JSON.stringify(record, null, 2)}\n`);
}

/** What a text holds; undefined when it is not JSON or not of the schema. */
export function parseAs<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
