import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.js';
import { buildPrograms } from '../../src/methods/index.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import type { Manifest } from '../../src/programs/manifest.js';
import { readManifest } from '../../src/programs/readManifest.js';
import { momentOf, type Case } from './cases.js';
import {
  compare,
  errorsOf,
  switchedRelus,
  type Errors,
  type QuantityResult,
  type NamedTensors,
} from './comparison.js';
import { gradientErrors, worstRatio, type GradientErrors } from './gradientTable.js';
import { drawInputs, type ImageKind } from './inputs.js';
import { memoryFormats, Pytorch } from './pytorch.js';
import { runTrainingStep, teacherOf, type Moment } from './trainingStep.js';

/** Where the running means stand before the step; a target may subtract them before it sums squares. */
export const runningMeans = ['drawn', 'zero', 'batch'] as const;

export type TargetName = Exclude<Config['runtime']['target'], 'auto'>;

export interface CompareOptions {
  readonly target: readonly TargetName[];
  readonly seed: number;
  readonly shift: number;
  readonly images: ImageKind;
  readonly runningMeans: (typeof runningMeans)[number];
  readonly margins: boolean;
  readonly python: readonly string[];
  /** The Python whose onnxruntime-training runs the target `ort-training`. */
  readonly trainingPython: string;
  /** Whether the graphs of the target `webgpu` run on a WebGPU device; like the others on the CPU otherwise. */
  readonly webgpu: boolean;
}

export interface CaseResult {
  readonly title: string;
  /** Whether every tensor is within its bound. */
  readonly within: boolean;
  /** By target. */
  readonly quantities: Readonly<Record<string, readonly QuantityResult[]>>;
  /** By target: how many times PyTorch's own errors those of the gradients are, over medians and worst of all widths. */
  readonly ratios: Readonly<Record<string, number>>;
  /** Of PyTorch's float32 runs, and of the targets. */
  readonly gradients: {
    readonly pytorch: Readonly<Record<string, GradientErrors>>;
    readonly ours: Readonly<Record<string, GradientErrors>>;
  };
  /** Between PyTorch's float64 run and each of its float32 runs. */
  readonly switchedRelus: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Builds the programs of a case for every target and compares them. `work` is a folder for files. */
export async function compareCase(tested: Case, work: string, options: CompareOptions): Promise<CaseResult> {
  const folders = options.target.map((target) => join(work, `programs.${target}`));
  try {
    for (const [i, target] of options.target.entries()) {
      const { config } = tested;
      const runtime = { ...config.runtime, ...runtimeOf(target, options), target };
      await buildPrograms({ ...config, runtime }, folders[i]!);
    }
    return await compareFolders(folders, tested.title, momentOf(tested), work, options);
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}

/** What a target's graphs run on, where that is not the library that comes with the package, on the CPU. */
function runtimeOf(
  target: TargetName,
  { trainingPython, webgpu }: Pick<CompareOptions, 'trainingPython' | 'webgpu'>,
): Partial<Config['runtime']> {
  // Of the engines only Python's has the operators of that target.
  if (target === 'ort-training') return { engine: 'python', python: trainingPython };
  return target === 'webgpu' && webgpu ? { provider: 'webgpu' } : {};
}

/** The graphs of folders that differ in target only, and PyTorch in float64 and float32, on the same inputs. */
export async function compareFolders(
  folders: readonly string[],
  title: string,
  moment: Moment,
  work: string,
  options: CompareOptions,
): Promise<CaseResult> {
  const pytorches: Pytorch[] = [];
  for (const python of options.python) pytorches.push(await Pytorch.open(python, folders[0]!, work));
  const manifests = await Promise.all(folders.map(readManifest));
  const [manifest] = manifests as [Manifest];
  const config = manifest.config as Config;
  const inputs = await placeInputs(folders[0]!, manifest, pytorches[0]!, moment, options);

  const { weightDecay } = config.optimizer;
  const float64 = ordered(await pytorches[0]!.runStep(inputs, 'float64', moment, weightDecay), config);
  const pytorchErrors = new Map<string, Errors>();
  const switched: Record<string, Record<string, number>> = {};
  for (const pytorch of pytorches) {
    for (const format of memoryFormats) {
      const name = `PyTorch ${pytorch.version} ${format}`;
      const float32 = ordered(await pytorch.runStep(inputs, format, moment, weightDecay), config);
      pytorchErrors.set(name, errorsOf(float32, float64));
      switched[name] = Object.fromEntries(switchedRelus(float32, float64));
    }
  }
  const ourErrors = new Map<string, Errors>();
  for (const [i, folder] of folders.entries()) {
    const results = await runTrainingStep(folder, manifests[i]!, inputs, moment);
    ourErrors.set(manifests[i]!.target, errorsOf(results, float64));
  }

  const quantities: Record<string, QuantityResult[]> = {};
  for (const [target, errors] of ourErrors) quantities[target] = compare(errors, [...pytorchErrors.values()]);
  const pytorch = gradientErrorsOf(pytorchErrors);
  const ours = gradientErrorsOf(ourErrors);
  const ratios = Object.fromEntries(
    Object.entries(ours).map(([target, errors]) => [target, worstRatio(errors, Object.values(pytorch))]),
  );
  const within = Object.values(quantities).every((results) => results.every(({ within }) => within));
  return {
    title,
    within,
    quantities,
    ratios,
    gradients: { pytorch, ours },
    switchedRelus: switched,
  };
}

async function placeInputs(
  folder: string,
  manifest: Manifest,
  pytorch: Pytorch,
  moment: Moment,
  { margins, runningMeans, ...options }: CompareOptions,
): Promise<Map<string, TensorData>> {
  const { method } = manifest.config as Config;
  const inputs = drawInputs(manifest, manifest.config as Config, options);
  const setTeacher = () => {
    if (method.kind === 'seed') inputs.set('teacher', teacherOf(inputs.get('view1')!, method.dimension));
  };
  setTeacher();
  if (margins) {
    for (const [name, tensor] of await pytorch.placeMargins(inputs)) inputs.set(name, tensor);
    setTeacher();
  }
  if (runningMeans !== 'drawn') clearRunningMeans(inputs);
  if (runningMeans === 'batch') {
    setRunningMeans(inputs, await runTrainingStep(folder, manifest, inputs, moment));
  }
  return inputs;
}

/** PyTorch's results without logits whose columns have no order of their own: negatives are those of one batch. */
function ordered(results: Map<string, TensorData>, { method }: Config): NamedTensors {
  if (method.kind !== 'moco-v3' && method.kind !== 'simclr') return results;
  return new Map([...results].filter(([name]) => !name.endsWith('.logits')));
}

const gradientErrorsOf = (errors: ReadonlyMap<string, Errors>): Record<string, GradientErrors> =>
  Object.fromEntries([...errors].map(([name, each]) => [name, gradientErrors(each)]));

function clearRunningMeans(inputs: Map<string, TensorData>): void {
  for (const [name, tensor] of inputs) {
    if (!name.endsWith('.running_mean')) continue;
    inputs.set(name, { ...tensor, data: new Float32Array(tensor.data.length) });
  }
}

/** From a step with running means of 0, whose new ones are a tenth of the batch's. */
function setRunningMeans(inputs: Map<string, TensorData>, results: NamedTensors): void {
  for (const [name, tensor] of inputs) {
    if (!name.endsWith('.running_mean')) continue;
    const moved = results.get(`new.${name}`)!.data as Float32Array;
    inputs.set(name, { ...tensor, data: moved.map((mean) => mean / 0.1) });
  }
}
