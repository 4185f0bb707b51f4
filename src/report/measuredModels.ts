import { join } from 'node:path';
import type { z } from 'zod';
import { SlimclrError } from '../errors.js';
import {
  candidatesFile,
  candidatesSchema,
  type CandidateModel,
  type Candidates,
} from '../export/candidates.js';
import { exportManifestSchema, type ManifestModel } from '../export/manifest.js';
import { readJsonIfThere } from '../readJson.js';

/** What was measured of a run's exported models, of one checkpoint. */
export interface MeasuredModels {
  /** One of each width and precision, widest first. */
  readonly models: readonly CandidateModel[];
  /** The last export by budget; absent: there was none. */
  readonly choice?: Pick<Candidates, 'budget' | 'chosen'>;
}

/**
 * Reads what the manifest of `export` in a run folder and the last export by budget say. What is damaged is left out, with
 * a note. Candidates of another checkpoint than the manifest's are left out.
 */
export async function readMeasuredModels(folder: string, notes: string[]): Promise<MeasuredModels> {
  const read = async <T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> => {
    try {
      return await readJsonIfThere(join(folder, file), schema);
    } catch (error) {
      if (!(error instanceof SlimclrError)) throw error;
      notes.push(`${file} was left out: ${error.message.replace(`${join(folder, file)}: `, '')}.`);
      return undefined;
    }
  };
  const manifest = await read('export/manifest.json', exportManifestSchema);
  const candidates = await read(candidatesFile, candidatesSchema);
  const checkpoint = manifest?.run.checkpoint ?? candidates?.checkpoint;
  const current = candidates?.checkpoint === checkpoint ? candidates : undefined;
  const exported = (manifest?.models ?? [])
    .filter((model) => model.checkpoint === checkpoint && isComparable(model))
    .sort((a, b) => Number(b.classifier !== null) - Number(a.classifier !== null));
  // Of each width and precision the last: candidates, which were measured together, else the plain model.
  const byKind = new Map<string, CandidateModel>();
  for (const model of [...exported, ...(current?.models ?? [])]) {
    byKind.set(`${model.width} ${model.precision}`, model);
  }
  const models = [...byKind.values()].sort((a, b) => b.width - a.width);
  return { models, ...(current && { choice: current }) };
}

/** Whether a model differs from the plain ones in width, precision and classifier only. */
function isComparable({ size, head, maps, batch, input, resize, externalData }: ManifestModel): boolean {
  return (
    size === null && !head && maps.length === 0 && batch === null && input === 'float32-nchw' && !resize && externalData === null
  ); // prettier-ignore
}
