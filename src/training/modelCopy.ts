import { existsSync } from 'node:fs';
import { copyFile, lstat, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SlimclrError, UsageError } from '../errors.js';
import type { ModelNeed } from '../methods/method.js';
import { externalFiles } from '../onnx/externalFiles.js';
import { plainNameSchema } from '../plainFile.js';
import { replaceFile } from '../replaceFile.js';
import { modelFile } from './steps/frozenModel.js';

/*
 * A run has copies of the models that its method brings, such as SEED's teacher, in its program folder, so that a resumed
 * run has the ones that it began with, whatever has become of the files since. A model's external data lie beside it, in
 * the copy too.
 */

/** Names in a program folder that are not a model's data. */
const taken = /^(manifest\.json|weights\.safetensors|.*\.onnx)$/;

/** Throws a UsageError unless a method's model can be copied: the model and all files of its external data. */
export async function checkModel(need: ModelNeed): Promise<void> {
  await filesBeside(need);
}

/** Copies a model into the program folder; for a run that is resumed only if it has lost its own. */
export async function keepModel(
  need: ModelNeed,
  programs: string,
  { isNew }: { readonly isNew: boolean },
): Promise<void> {
  const { path } = need;
  const kept = join(programs, modelFile(need));
  if (!isNew && existsSync(kept)) return;
  for (const name of await filesBeside(need)) {
    await replaceFile(join(programs, name), (partial) => copyFile(join(dirname(path), name), partial));
  }
  // Last: where the model is, its data are.
  await replaceFile(kept, (partial) => copyFile(path, partial));
}

/** Names of the files in the model's folder that hold data of it. */
async function filesBeside(need: ModelNeed): Promise<string[]> {
  const { key, path } = need;
  if (!existsSync(path)) {
    throw new UsageError(`method.${key} ${path} does not exist; accepted: the path of an ONNX file`);
  }
  const names = await locationsOf(need);
  for (const name of names) {
    const problem = await problemOf(join(dirname(path), name), name);
    if (problem === null) continue;
    throw new UsageError(
      `method.${key} ${path} has external data in ${JSON.stringify(name)}, ${problem}; ` +
        'accepted: files beside it that the program folder does not name, or a model without external data',
    );
  }
  return names;
}

async function locationsOf({ key, path }: ModelNeed): Promise<string[]> {
  try {
    return externalFiles(await readFile(path));
  } catch (cause) {
    if (!(cause instanceof SlimclrError)) throw cause;
    throw new UsageError(
      `method.${key} ${path} cannot be opened (${cause.message}); ` +
        'accepted: an ONNX file, such as one of `slimclr export --head`',
      { cause },
    );
  }
}

async function problemOf(path: string, name: string): Promise<string | null> {
  if (!plainNameSchema.safeParse(name).success) return 'which is no plain name';
  if (taken.test(name)) return 'a name of the program folder';
  const status = await lstat(path).catch(() => null);
  if (!status) return 'which does not exist';
  return status.isFile() ? null : 'which is no regular file';
}
