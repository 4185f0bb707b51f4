/**
 * `npm run gpu`: what a machine with a GPU is to show, in one command: losses equal to the CPU's, speed against PyTorch,
 * the slowest kernels, what crosses between host and device. Without a GPU the same on the CPU, with small sizes.
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { Command, InvalidArgumentError, Option } from 'commander';
import { SlimclrError } from '../../src/errors.js';
import { writeKernelTable } from './kernels.js';
import { problemOf, prove, provedPresets, type Proof } from './prove.js';
import { formatKernels, formatProof, formatTiming } from './report.js';
import { setupsOf, type Device, type Precision } from './setups.js';
import { goal, time, type Timing } from './times.js';
import { byOperator, trace } from './trace.js';

const parts = ['prove', 'time', 'trace'] as const;
type Part = (typeof parts)[number];

interface Options {
  readonly device?: Device;
  readonly library: string;
  readonly python?: string;
  readonly training?: string;
  readonly torch?: string;
  readonly webgpu: boolean;
  readonly compile: boolean;
  readonly only: readonly Part[];
  readonly preset: string;
  readonly size?: number;
  readonly batch?: readonly number[];
  readonly precision: readonly Precision[];
  readonly steps?: number;
  readonly prove: readonly string[];
  readonly proveSteps: number;
  readonly json?: string;
}

/** Sizes where nothing is said: those of the goal on a GPU, on a CPU such as take a minute. */
const sizes = {
  cuda: { size: 224, batch: [64, 256], steps: 20, provedBatch: 32 },
  cpu: { size: 32, batch: [4], steps: 2, provedBatch: 8 },
} as const;
/** Kernels that are listed of a graph. */
const listed = 12;

async function main(options: Options): Promise<void> {
  const device = options.device ?? (await foundDevice());
  const { only, library, python, training, torch, webgpu, compile, precision, preset } = options;
  const { size = sizes[device].size, batch = sizes[device].batch, steps = sizes[device].steps } = options;
  const setups = setupsOf({ device, library, python, training, webgpu });
  if (device === 'cpu') console.log('On the CPU, in minutes: small sizes, whose times say nothing of a GPU');
  console.log(
    `device ${device}: ${setups.map(({ title }) => title).join('; ') || 'nothing to run our steps on'}`,
  );
  for (const missing of missingOf(options, device)) console.log(`left out: ${missing}`);
  const set = [
    `data.imageSize=${size}`,
    'data.viewSize=0',
    `method.queueSize=${device === 'cuda' ? 65536 : 1024}`,
  ];

  let proofs: Proof[] = [];
  if (only.includes('prove')) {
    console.log(`\nLosses of ${options.proveSteps} steps against the CPU's, largest relative difference`);
    proofs = await prove({
      ...{ setups, presets: options.prove, precisions: precision, steps: options.proveSteps },
      batchSize: sizes[device].provedBatch,
      onProof: (proof) => console.log(formatProof(proof)),
    });
  }
  let timings: Timing[] = [];
  if (only.includes('time')) {
    console.log(
      `\nA step of ${preset} at ${size}, all widths: medians of ${steps} in turns; goal ${goal} of PyTorch`,
    );
    timings = await time({
      ...{ preset, set, setups, device, precisions: precision, batchSizes: batch, steps, torch, compile },
      onProgress: (message) => console.log(`  ${message}`),
      onTiming: (timing) => console.log(formatTiming(timing)),
    });
  }
  const traces: Record<string, unknown> = {};
  if (only.includes('trace')) {
    for (const setup of setups) {
      for (const each of precision.filter((each) => each === 'float32' || setup.mixed)) {
        const title = `query.w1.00, ${setup.title}, ${each}, batch ${batch[0]}`;
        const kernels = await trace(
          preset,
          [...set, `batchSize=${batch[0]}`],
          setup,
          each,
          'query.w1.00',
        ).catch(problemOf);
        console.log(`\nSlowest kernels of ${title}`);
        if (typeof kernels === 'string') console.log(`  ${kernels}`);
        else console.log(formatKernels(byOperator(kernels), kernels, listed));
        traces[title] = kernels;
      }
    }
  }
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ device, proofs, timings, traces }, null, 2)}\n`);
  }
  if (proofs.some(({ error, bound }) => error === null || !(error <= bound))) process.exitCode = 1;
  if (timings.some(({ problem }) => problem !== undefined)) process.exitCode = 1;
}

/** cuda where NVIDIA's tool finds a GPU. */
async function foundDevice(): Promise<Device> {
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', ['-L']);
    return stdout.startsWith('GPU') ? 'cuda' : 'cpu';
  } catch {
    return 'cpu';
  }
}

function missingOf({ library, python, training, torch, webgpu }: Options, device: Device): string[] {
  return [
    ...(device === 'cuda' && library === ''
      ? ['in process (--library: libonnxruntime.so of onnxruntime-gpu)']
      : []),
    ...(python === undefined ? ['Python, stock (--python: one with onnxruntime-gpu, or onnxruntime)'] : []),
    ...(training === undefined ? ['Python, training (--training: one with onnxruntime-training)'] : []),
    ...(torch === undefined ? ['PyTorch (--torch: a Python that has it)'] : []),
    ...(webgpu ? [] : ['WebGPU (--webgpu: through Vulkan)']),
  ];
}

const positive = (value: string): number => {
  if (/^[1-9]\d{0,4}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('accepted: an integer from 1');
};

const program = new Command('npm run gpu --')
  .description('Prove, time and trace training steps on a GPU, or the same on a CPU.')
  .addOption(new Option('--device <name>', 'default: cuda where there is a GPU').choices(['cuda', 'cpu']))
  .addOption(
    new Option('--library <path>', 'a libonnxruntime.so to run in process, e.g. of onnxruntime-gpu')
      .env('SLIMCLR_CUDA_LIBRARY')
      .default(''),
  )
  .addOption(
    new Option('--python <path>', 'a Python that has onnxruntime-gpu, or onnxruntime').env('SLIMCLR_PYTHON'),
  )
  .addOption(
    new Option('--training <path>', 'a Python that has onnxruntime-training').env('SLIMCLR_PYTHON_TRAINING'),
  )
  .option('--torch <path>', 'a Python that has PyTorch')
  .option('--webgpu', 'run on WebGPU, too', false)
  .option('--compile', "PyTorch's networks compiled", false)
  .addOption(new Option('--only <parts...>', 'what to do').choices(parts).default(parts))
  .option('--preset <name>', 'whose step is timed and traced', 'imagenet-resnet50')
  .option('--size <n>', 'of its images; default: 224, on a CPU 32', positive)
  .option('--batch <n...>', 'default: 64 256, on a CPU 4', (value, before: readonly number[] = []) => [
    ...before,
    positive(value),
  ])
  .addOption(
    new Option('--precision <names...>', 'in which to compute; float32 with TF32 on a GPU')
      .choices(['float32', 'float16'])
      .default(['float32', 'float16']),
  )
  .option('--steps <n>', 'that are timed; default: 20, on a CPU 2', positive)
  .addOption(
    new Option('--prove <presets...>', 'whose losses are compared')
      .choices(provedPresets)
      .default(provedPresets),
  )
  .option('--prove-steps <n>', 'whose losses are compared', positive, 10)
  .option('--json <file>', 'write every number to this file')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .action((options: Options) => main(options));
program
  .command('kernels')
  .description(
    'write kernels.json: the CUDA kernels of onnxruntime-gpu, of each folder that pip put one into',
  )
  .requiredOption('--python <path>', 'a Python with numpy, of the version that the wheels are for')
  .argument('<folders...>', 'the newest version last')
  .action((folders: string[], { python }: { python: string }) => writeKernelTable(python, folders));

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
