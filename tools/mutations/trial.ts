import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SlimclrError } from '../../src/errors.js';
import { sha256 } from '../../src/onnx/hash.js';
import { Random } from '../../src/random.js';
import { mutate } from './mutate.js';
import { readers, readFiles } from './readers.js';
import { freshCopy, type Subject } from './subject.js';

export interface MutationTrial {
  /** What was changed and who read it: `results/knn.json (.widths is null): report`. */
  readonly what: string;
  /** What must not be; undefined when the reader worked or said in one line what is wrong. */
  readonly defect: string | undefined;
  readonly message: string | undefined;
}

export interface TrialOptions {
  readonly seed: number;
  readonly count: number;
  /** Only the readers that take no seconds, one of them for each mutation. */
  readonly quick?: boolean;
  /** Only files and readers of which it matches `file: reader`. */
  readonly only?: RegExp;
  /** Told of a trial before it begins. */
  readonly onTrial?: (what: string) => void;
}

/** Mutates one file of a copy of the run at a time and lets everybody read it who does. */
export async function* trials(
  subject: Subject,
  { seed, count, quick = false, only = /./, onTrial }: TrialOptions,
): AsyncGenerator<MutationTrial> {
  const usable = (file: string) =>
    readers.filter(
      ({ name, reads, slow }) => reads.test(file) && !(quick && slow) && only.test(`${file}: ${name}`),
    );
  const files = (await readFiles(subject.run)).filter((file) => usable(file).length > 0);
  const around = await fingerprints(subject);
  for (let i = 0; i < count; i++) {
    const random = new Random(seed, i);
    // Every file takes its turn.
    const file = files[(i + seed) % files.length]!;
    const { what, bytes } = mutate(file, await readFile(join(subject.run, file)), random);
    const interested = usable(file);
    const chosen = quick ? [interested[random.integer(interested.length)]!] : interested;
    for (const { name, read } of chosen) {
      const run = await freshCopy(subject);
      await writeFile(join(run, file), bytes);
      // Else the index tells that the checkpoint was changed, and nothing reads what it says.
      if (file.startsWith('checkpoints/step') && random.integer(2) === 0) {
        await rm(join(run, 'checkpoints', 'index.json'));
      }
      const subtitle = `seed ${seed}, ${i}: ${file} (${what}): ${name}`;
      onTrial?.(subtitle);
      const error = await failure(() => read(run, subject, file));
      const touched = differences(around, await fingerprints(subject));
      yield {
        what: subtitle,
        message: error instanceof Error ? error.message : undefined,
        defect: touched ?? defectOf(error),
      };
    }
  }
}

/** What is thrown; undefined where nothing is. */
async function failure(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error ?? 'undefined';
  }
}

/** What is wrong with an error: people are to read one line. */
function defectOf(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  if (!(error instanceof Error)) return 'something was thrown that is no error';
  // What the operating system refuses is no defect.
  if (!(error instanceof SlimclrError) && !('syscall' in error)) return error.stack ?? error.message;
  return /[\n\r]/.test(error.message) ? `more than one line: ${JSON.stringify(error.message)}` : undefined;
}

/** Of every file but those of the copy and of the cache. */
async function fingerprints({ root }: Subject): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const inside = path.slice(root.length + 1);
    if (!entry.isFile() || /^(copy|cache)\b/.test(inside)) continue;
    found.set(inside, sha256(await readFile(path)));
  }
  return found;
}

function differences(before: Map<string, string>, after: Map<string, string>): string | undefined {
  for (const file of new Set([...before.keys(), ...after.keys()])) {
    if (before.get(file) !== after.get(file)) return `${file}, outside the run, was changed`;
  }
  return undefined;
}
