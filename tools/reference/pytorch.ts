import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SlimclrError } from '../../src/errors.js';
import { readSafetensors, writeSafetensors, type TensorData } from '../../src/onnx/safetensors.js';
import type { Moment } from './trainingStep.js';

type NamedTensors = Map<string, TensorData>;

/** How PyTorch's float32 runs keep images and activations. */
export const memoryFormats = ['contiguous', 'channels_last'] as const;
export type MemoryFormat = (typeof memoryFormats)[number];

/** The Python scripts lie beside the TypeScript sources, not beside what is compiled from them. */
const scripts = fileURLToPath(new URL('../../../tools/reference/', import.meta.url));
const execute = promisify(execFile);

/** The PyTorch side of the comparison: the scripts of this folder, run on one program folder. */
export class Pytorch {
  private constructor(
    /** Of PyTorch, e.g. `2.1.0`. */
    readonly version: string,
    private readonly python: string,
    private readonly programs: string,
    /** Where files are exchanged. */
    private readonly work: string,
  ) {}

  /** Throws a SlimclrError when `python` is not there or has no PyTorch. */
  static async open(python: string, programs: string, work: string): Promise<Pytorch> {
    try {
      const { stdout } = await execute(python, ['-c', 'import torch; print(torch.__version__)']);
      return new Pytorch(stdout.trim(), python, programs, work);
    } catch (cause) {
      throw new SlimclrError(
        `${python} has no PyTorch: apt-get install python3-torch, or name another Python with --python`,
        { cause },
      );
    }
  }

  /** Inputs at which the gradient does not jump (margins.py): those that had to move, by name. */
  placeMargins(inputs: NamedTensors): Promise<NamedTensors> {
    return this.run('margins.py', inputs, []);
  }

  /**
   * One training step (run_reference.py), in float64 or in float32. Results are named as in README.md.
   * `weightDecay` is the config's.
   */
  runStep(
    inputs: NamedTensors,
    format: 'float64' | MemoryFormat,
    { learningRate, steps, slowStart }: Moment,
    weightDecay: number,
  ): Promise<NamedTensors> {
    return this.run('run_reference.py', inputs, [
      ...['--dtype', format === 'float64' ? format : 'float32'],
      ...(format === 'channels_last' ? ['--channels-last'] : []),
      ...['--lr', String(learningRate), '--wd', String(weightDecay)],
      ...['--steps', String(steps.all), String(steps.narrow), String(steps.total)],
      ...(slowStart ? ['--slow-start'] : []),
    ]);
  }

  private async run(script: string, inputs: NamedTensors, options: readonly string[]): Promise<NamedTensors> {
    const inputsFile = join(this.work, 'inputs.safetensors');
    const out = join(this.work, 'out.safetensors');
    await writeSafetensors(inputsFile, inputs);
    const files = [this.programs, '--inputs', inputsFile, '--out', out];
    try {
      await execute(this.python, [join(scripts, script), ...files, ...options], {
        env: { OMP_NUM_THREADS: '2', ...process.env },
      });
    } catch (cause) {
      const { stderr = '' } = cause as { stderr?: string };
      throw new SlimclrError(`${script} failed: ${stderr.trimEnd().split('\n').at(-1)}`, { cause });
    }
    const { tensors } = await readSafetensors(out);
    rmSync(out);
    return tensors;
  }
}
