import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SlimclrError } from '../../src/errors.js';
import { operators } from '../../src/ops/index.js';
import { kernelTableFile, trainingVersion, type KernelTable } from './kernelTable.js';
import { trainingKernels } from './trainingKernels.js';

/** Opsets that targets emit. */
const opsets = { first: 17, last: 21 };
/** Element types that graphs hold. */
const dtypes = ['bool', 'int64', 'float16', 'bfloat16', 'float32', 'float64'];

interface Listed {
  readonly version: string;
  readonly kernels: Readonly<Record<string, readonly string[]>>;
  readonly signatures: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly inputs: readonly string[]; readonly outputs: readonly string[] }>>
    >
  >;
}

const script = fileURLToPath(new URL('../../../tools/gpu/cuda_without_gpu.py', import.meta.url));
const execute = promisify(execFile);

/**
 * Lists the CUDA kernels of the operators of ONNX that graphs are made of, for the onnxruntime-gpu of each folder, the
 * newest last, and writes the table that tests read.
 */
export async function writeKernelTable(python: string, folders: readonly string[]): Promise<void> {
  const standard = Object.entries(operators).filter(([, { domain }]) => domain === '');
  const names = [...standard.map(([name]) => name), 'Identity'];
  const kernels: Record<string, Record<string, string[]>> = {};
  let signatures: Record<string, Record<string, string>> = {};
  for (const folder of folders) {
    const listed = await list(python, folder, names);
    signatures = signaturesOf(listed);
    kernels[listed.version] = Object.fromEntries(
      Object.entries(listed.kernels).map(([name, lines]) => [name, concise(lines, firstOpset(listed, name))]),
    );
    console.log(`onnxruntime-gpu ${listed.version}: ${Object.keys(listed.kernels).length} operators`);
  }
  writeFileSync(kernelTableFile, `${JSON.stringify(withTraining({ signatures, kernels }), null, 1)}\n`);
}

/** Adds the build for training, which lists no kernels itself. */
export function withTraining({ signatures, kernels }: KernelTable): KernelTable {
  const { version, ...training } = trainingKernels;
  const stock = kernels[version];
  if (!stock)
    throw new SlimclrError(
      `no onnxruntime-gpu ${version} among the folders, whose kernels the training build has`,
    );
  const added = Object.entries(training.signatures).map(
    ([name, signature]) => [name, { 1: signature }] as const,
  );
  return {
    signatures: { ...signatures, ...Object.fromEntries(added) },
    kernels: { ...kernels, [trainingVersion]: { ...stock, ...training.kernels } },
  };
}

async function list(python: string, folder: string, names: readonly string[]): Promise<Listed> {
  try {
    const { stdout } = await execute(python, [script, 'kernels', folder, ...names], { maxBuffer: 2 ** 26 });
    return JSON.parse(stdout) as Listed;
  } catch (cause) {
    const reason = String((cause as { stderr?: string }).stderr ?? cause);
    throw new SlimclrError(`${folder}: ${reason.trim().split('\n').at(-1)}`, { cause });
  }
}

/** The version of an operator that the lowest opset uses. */
function firstOpset({ signatures }: Listed, name: string): number {
  const sinces = Object.keys(signatures[name] ?? {}).map(Number);
  return Math.max(...sinces.filter((since) => since <= opsets.first));
}

function signaturesOf(listed: Listed): Record<string, Record<string, string>> {
  return Object.fromEntries(
    Object.entries(listed.signatures).map(([name, versions]) => [
      name,
      Object.fromEntries(
        Object.entries(versions)
          .filter(([since]) => Number(since) >= firstOpset(listed, name) && Number(since) <= opsets.last)
          .map(([since, { inputs, outputs }]) => [since, `${inputs.join(' ')} > ${outputs.join(' ')}`]),
      ),
    ]),
  );
}

/** Kernels of opsets and types that are used; those that differ in the type of T alone are one line. */
function concise(lines: readonly string[], first: number): string[] {
  const merged = new Map<string, Set<string>>();
  for (const line of lines) {
    const [range = '', ...constraints] = line.split(' ');
    const [from, to] = range.split('-');
    if (Number(from) > opsets.last || (to !== '' && Number(to) < first)) continue;
    const used = constraints.map((constraint) => {
      const [name = '', types = ''] = constraint.split(':');
      return [name, types.split(',').filter((type) => dtypes.includes(type))] as const;
    });
    if (used.some(([, types]) => types.length === 0)) continue;
    const free = used.length === 1 || used.every(([name, types]) => name === 'T' || types.length > 1);
    const rest = used
      .filter(([name]) => !free || name !== 'T')
      .map(([name, types]) => `${name}:${types.join(',')}`);
    const key = [range, ...rest].join(' ');
    const types = merged.get(key) ?? new Set<string>();
    for (const type of (free && used.find(([name]) => name === 'T')?.[1]) || []) types.add(type);
    merged.set(key, types);
  }
  return [...merged].map(([key, types]) =>
    types.size > 0 ? `${key} T:${[...types].sort().join(',')}` : key,
  );
}
