import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256 } from '../onnx/hash.js';
import { replaceFile } from '../replaceFile.js';
import { ortLibrary } from '../engines/ortLibrary.js';
import { noChoices, type ChoiceTable } from '../targets/cpu/choices.js';
import type { KernelRules } from '../targets/cpu/guard.js';
import { version } from '../version.js';
import { choiceTableSchema, parseAs } from './targetRecord.js';

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

const fileSchema = z.strictObject({
  format: z.literal('slimclr-tuning-cache'),
  version: z.literal(2),
  key: z.strictObject({
    cpu: z.string(),
    onnxruntime: z.string(),
    slimclr: z.string(),
    threads: z.int(),
    block: z.int(),
    plainGroups: z.boolean(),
  }),
  choices: choiceTableSchema,
});

/** What was measured for a key before. A file that is torn, or not of this key, counts as none. */
export async function readTuningCache(cacheDirectory: string, key: TuningKey): Promise<ChoiceTable> {
  const text = await readFile(pathOf(cacheDirectory, key), 'utf8').catch(() => '');
  const content = parseAs(fileSchema, text);
  return content && same(content.key, key) ? content.choices : noChoices;
}

/** Keeps measurements; those of other shapes stay. */
export async function writeTuningCache(
  cacheDirectory: string,
  key: TuningKey,
  choices: ChoiceTable,
): Promise<void> {
  const known = await readTuningCache(cacheDirectory, key);
  const content: z.infer<typeof fileSchema> = {
    format: 'slimclr-tuning-cache',
    version: 2,
    key,
    choices: {
      folded: { ...known.folded, ...choices.folded },
      winograd: { ...known.winograd, ...choices.winograd },
      chunk: { ...known.chunk, ...choices.chunk },
    },
  };
  await replaceFile(pathOf(cacheDirectory, key), (partial) =>
    writeFile(partial, `${JSON.stringify(content, null, 2)}\n`),
  );
}

function pathOf(cacheDirectory: string, key: TuningKey): string {
  return join(cacheDirectory, 'tuning', `${sha256(Buffer.from(words(key))).slice(0, 16)}.json`);
}

function same(a: TuningKey, b: TuningKey): boolean {
  return words(a) === words(b);
}

function words({ cpu, onnxruntime, slimclr, threads, block, plainGroups }: TuningKey): string {
  return JSON.stringify([cpu, onnxruntime, slimclr, threads, block, plainGroups]);
}
