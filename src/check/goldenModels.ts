import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { z } from 'zod';
import { SlimclrError, UsageError } from '../errors.js';
import { sha256, sha256File } from '../onnx/hash.js';
import { encodeNpy, readNpy } from '../onnx/npy.js';
import { elementTypes } from '../onnx/tensorType.js';
import { isAbsent, plainNameSchema, readPlainFile } from '../plainFile.js';
import { readJsonIfThere, sha256Schema, type Json } from '../readJson.js';
import { replaceFile, rewriteFile } from '../replaceFile.js';
import { version } from '../version.js';
import type { MeasuredAccuracy } from './accuracy.js';
import type { FixedInput } from './fixedInputs.js';
import type { GoldenOutput } from './numerics.js';
import type { ComparedStructure } from './structure.js';
import type { OpenedModel } from './subject.js';

/** The file of a folder of golden models that describes them. */
export const goldenFile = 'golden.json';

const count = z.int().min(0);
/** Within the folder. */
const pathSchema = z
  .string()
  .refine(
    (path) => path.split('/').every((part) => plainNameSchema.safeParse(part).success),
    'a path in the folder',
  );
const statistics = z.array(z.number());

const modelSchema = z.object({
  file: plainNameSchema,
  sha256: sha256Schema,
  /** Of the file and its external data. */
  bytes: count,
  /** Whether `models/` has it, which latency needs. */
  kept: z.boolean(),
  /** Its external data, if it is kept, beside it. */
  external: z.array(pathSchema),
  nodes: count,
  irVersion: count,
  metadata: z.record(z.string(), z.string()),
  tolerance: z.number().min(0),
  inputs: z.array(
    z.object({
      name: z.string(),
      file: pathSchema,
      batched: z.boolean(),
      /** How the bytes of the file become what the model takes; null: they are it. */
      pixels: z
        .object({
          layout: z.enum(['nchw', 'nhwc']),
          dtype: z.enum(elementTypes),
          mean: statistics,
          std: statistics,
        })
        .nullable(),
    }),
  ),
  outputs: z.array(
    z.object({
      name: z.string(),
      /** Null for one that is not compared. */
      file: pathSchema.nullable(),
      shape: z.array(count),
      /** The file has every so many elements. */
      stride: z.int().min(1),
    }),
  ),
  accuracy: z
    .object({ knn: z.number(), output: z.string(), images: count, fingerprint: z.string() })
    .nullable(),
});

const goldenSchema = z.object({
  kind: z.literal('slimclr-golden-models'),
  version: z.literal(1),
  /** Version of this package that wrote it. */
  slimclr: z.string(),
  models: z.array(modelSchema),
});
type GoldenEntry = Json<typeof modelSchema>;

/** What a model is compared with. */
export interface GoldenModel {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly structure: ComparedStructure;
  /** Path of the model; null where it was not kept. */
  readonly path: string | null;
  readonly tolerance: number;
  readonly inputs: readonly FixedInput[];
  /** Null for an output that is not compared. */
  readonly outputs: ReadonlyMap<string, GoldenOutput | null>;
  readonly accuracy: MeasuredAccuracy | null;
}

/** A model that becomes golden. */
export interface NewGolden extends Omit<GoldenModel, 'path' | 'structure'> {
  readonly model: OpenedModel;
  /** Whether to keep the model itself. */
  readonly kept: boolean;
}

export interface GoldenUpdate {
  /** Paths relative to the folder; a file that was right already is not among them. */
  readonly written: readonly string[];
  readonly removed: readonly string[];
}

/** The golden models of a folder; undefined for a path that is no such folder. Throws a SlimclrError for a damaged one. */
export async function readGoldenModels(folder: string): Promise<GoldenModel[] | undefined> {
  const golden = await readJsonIfThere(join(folder, goldenFile), goldenSchema);
  return golden && Promise.all(golden.models.map((entry) => readEntry(folder, entry)));
}

async function readEntry(folder: string, entry: GoldenEntry): Promise<GoldenModel> {
  const { file, kept, nodes, irVersion, metadata, accuracy } = entry;
  const text = String(await part(folder, structurePath(file), readPlainFile)).replaceAll('\r\n', '\n');
  const path = join(folder, modelPath(file));
  if (kept && (await part(folder, modelPath(file), sha256File)) !== entry.sha256) {
    throw new SlimclrError(
      `${path}: not the file that ${goldenFile} names; accepted: the model itself (a pointer of Git LFS is none), or a ` +
        'golden folder written anew',
    );
  }
  const inputs = entry.inputs.map(async ({ name, file: of, batched, pixels }): Promise<FixedInput> => {
    return { name, stored: await part(folder, of, readNpy), batched, pixels };
  });
  const outputs = entry.outputs.map(async ({ name, file: of, shape, stride }) => {
    const output = of === null ? null : { kept: await part(folder, of, readNpy), shape, stride };
    return [name, output] as const;
  });
  const [feeds, golden] = await Promise.all([Promise.all(inputs), Promise.all(outputs)]);
  return {
    name: file,
    sha256: entry.sha256,
    bytes: entry.bytes,
    structure: { text, nodes, irVersion, metadata },
    path: kept ? path : null,
    tolerance: entry.tolerance,
    inputs: feeds,
    outputs: new Map(golden),
    accuracy,
  };
}

async function part<T>(folder: string, file: string, read: (path: string) => Promise<T>): Promise<T> {
  const path = join(folder, file);
  try {
    return await read(path);
  } catch (cause) {
    if (!isAbsent(cause)) throw cause;
    throw new SlimclrError(`${path} is missing; accepted: a golden folder as --update writes it`, { cause });
  }
}

/**
 * Makes a folder hold these golden models and no others; files that are none of them stay. Each file is complete or as it
 * was, golden.json comes last. Throws a UsageError for a folder that holds something else.
 */
export async function writeGoldenModels(folder: string, models: readonly NewGolden[]): Promise<GoldenUpdate> {
  await mkdir(folder, { recursive: true });
  const visible = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  if (visible.length > 0 && !visible.includes(goldenFile)) {
    throw new UsageError(`${folder}: holds no golden models but other files; accepted: an empty folder`);
  }
  const written = new Set<string>();
  const present = new Set<string>();
  const write = async (path: string, content: Uint8Array | string) => {
    present.add(path);
    if (await rewriteFile(join(folder, path), content)) written.add(path);
    return path;
  };
  const entries: GoldenEntry[] = [];
  for (const { model, kept, tolerance, inputs, outputs, accuracy } of models) {
    const { name, structure } = model;
    await write(structurePath(name), structure.text);
    if (kept) await write(modelPath(name), model.content);
    const external: string[] = [];
    for (const location of kept ? model.external : []) {
      const path = modelPath(posix.normalize(location.replaceAll('\\', '/')));
      external.push(path);
      present.add(path);
      if (await copy(join(dirname(model.path), location), join(folder, path))) written.add(path);
    }
    const storedInputs: GoldenEntry['inputs'][number][] = [];
    const storedOutputs: GoldenEntry['outputs'][number][] = [];
    for (const { name: input, stored, pixels, batched } of inputs) {
      const content = encodeNpy(stored);
      // Models of a family take the same ones.
      const path = await write(`inputs/${sha256(content).slice(0, 16)}.npy`, content);
      storedInputs.push({ name: input, file: path, batched, pixels });
    }
    for (const [i, [output, value]] of [...outputs].entries()) {
      const path = `outputs/${name}/${i}-${output.replaceAll(/[^\w.-]/g, '_').slice(0, 60)}.npy`;
      const file = value && (await write(path, encodeNpy(value.kept)));
      storedOutputs.push({ name: output, file, shape: value?.shape ?? [], stride: value?.stride ?? 1 });
    }
    entries.push({
      file: name,
      sha256: model.sha256,
      bytes: model.bytes,
      kept,
      external,
      nodes: structure.nodes,
      irVersion: structure.irVersion,
      metadata: structure.metadata,
      tolerance,
      inputs: storedInputs,
      outputs: storedOutputs,
      accuracy,
    });
  }
  const index = { kind: 'slimclr-golden-models', version: 1, slimclr: version, models: entries };
  const old = await filesOf(folder);
  await write(goldenFile, `${JSON.stringify(index, null, 2)}\n`);
  const removed = old.filter((path) => !present.has(path));
  for (const path of removed) await rm(join(folder, path), { force: true });
  return { written: [...written], removed };
}

/** The files that the golden.json of a folder names. */
async function filesOf(folder: string): Promise<string[]> {
  const golden = await readJsonIfThere(join(folder, goldenFile), goldenSchema).catch(() => undefined);
  const files = (golden?.models ?? []).flatMap(({ file, kept, external, inputs, outputs }) => [
    structurePath(file),
    ...(kept ? [modelPath(file), ...external] : []),
    ...[...inputs, ...outputs].flatMap(({ file: of }) => (of === null ? [] : [of])),
  ]);
  return [...new Set(files)];
}

/** False when the file is the same already. */
async function copy(from: string, to: string): Promise<boolean> {
  const hash = await sha256File(to).catch(() => null);
  if (hash !== null && hash === (await sha256File(from))) return false;
  await replaceFile(to, (partial) => copyFile(from, partial));
  return true;
}

function structurePath(file: string): string {
  return `structure/${file}.txt`;
}

function modelPath(file: string): string {
  return `models/${file}`;
}
