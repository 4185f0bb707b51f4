import { join } from 'node:path';
import { z } from 'zod';
import { keep, type Notices } from '../keep.js';
import { sha256Schema, type Json } from '../readJson.js';
import { replaceFile } from '../replaceFile.js';
import { precisions } from './form.js';
import { manifestModelSchema } from './manifest.js';

const candidateSchema = manifestModelSchema.pick({
  width: true,
  label: true,
  precision: true,
  bytes: true,
  parameters: true,
  multiplyAdds: true,
  latency: true,
  accuracy: true,
});

const limit = z.number().gt(0).nullable();

/** `results/candidates.json` of a run folder: the models that an export by budget chose from. */
export const candidatesSchema = z.object({
  kind: z.literal('candidates'),
  version: z.literal(1),
  /** SHA-256 of the checkpoint that they are of. */
  checkpoint: sha256Schema,
  /** null: not limited. */
  budget: z.object({ milliseconds: limit, bytes: limit, multiplyAdds: limit }),
  /** What made one better than another. */
  criterion: z.enum(['knn', 'probe', 'width']),
  /** null: none fits. */
  chosen: z.object({ width: z.number(), precision: z.enum(precisions) }).nullable(),
  models: z.array(candidateSchema),
});

/**
 * `results/candidates.json`
 * @interface
 */
export type Candidates = Json<typeof candidatesSchema>;
/**
 * A model that an export by budget measured.
 * @interface
 */
export type CandidateModel = Json<typeof candidateSchema>;

/** The file in a run folder. */
export const candidatesFile = 'results/candidates.json';

/** Writes the candidates of a run; a notice where that fails. */
export async function writeCandidates(
  runFolder: string,
  candidates: Candidates,
  notices: Notices,
): Promise<void> {
  const text = `${JSON.stringify(candidates, null, 2)}\n`;
  const write = () => replaceFile(join(runFolder, candidatesFile), text);
  await keep(candidatesFile, write, notices);
}
