import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { SlimclrError } from '../../src/errors.js';
import { exportModel } from '../../src/export/exportModel.js';
import { plainForm } from '../../src/export/form.js';
import { writeSafetensors, type TensorData } from '../../src/onnx/safetensors.js';
import { initialWeights } from '../../src/programs/initialWeights.js';
import { networkOf } from '../../src/methods/index.js';
import type { Network } from '../../src/programs/network.js';
import { Random } from '../../src/random.js';
// Turns telemetry off.
import '../../src/engines/ortLibrary.js';
import { formatCase, formatSummary, type InferCase, type Side } from './inferReport.js';
import { PytorchServer } from './pytorchInfer/pytorchServer.js';
import { median } from './median.js';

interface Options {
  readonly python: readonly string[];
  readonly width: readonly number[];
  readonly batch: readonly number[];
  readonly seconds: number;
  readonly threads: number;
}

/** Someone who runs the network of one width on one batch. */
interface Contender {
  readonly side: Side;
  readonly name: string;
  features(): Promise<ArrayLike<number>>;
  /** Milliseconds of so many runs, after `warmUp` that are not timed. */
  time(runs: number, warmUp: number): Promise<number[]>;
}

interface Rival {
  readonly server: PytorchServer;
  readonly name: string;
}

/** A block, the runs of one contender before it is another's turn, takes about so long. */
const blockMilliseconds = 100;
/** Threads of ONNX Runtime and OpenMP go on spinning for a moment after a run: the next one waits until they sleep. */
const restMilliseconds = 50;
/** Runs for so long are not timed: caches are cold, threads asleep. */
const warmUpMilliseconds = 10;
const minimumRounds = 5;
/** Largest |theirs - ours| over the largest |ours| of features that come from the same network. */
const tolerance = 1e-4;

const config = loadConfig({ preset: 'imagenet-resnet50', set: ['encoder.zeroInitResidual=false'] });

/**
 * Speed of exported ResNet-50 models at 224x224 against the same networks, with the same weights, in PyTorch and
 * exported by PyTorch: medians of runs that take turns. Each side has its best settings: ONNX Runtime's defaults
 * for both exports, PyTorch in inference mode, eager and frozen (traced, optimised for inference), in both layouts.
 */
export async function benchInfer(args: string[]): Promise<void> {
  const options = parse(args);
  const work = await mkdtemp(join(tmpdir(), 'slimclr-bench-'));
  const rivals: Rival[] = [];
  try {
    const network = networkOf(config);
    const weights = drawWeights(network);
    const images = drawImages(Math.max(...options.batch));
    const files = {
      weights: join(work, 'weights.safetensors'),
      images: join(work, 'images.safetensors'),
    };
    await writeSafetensors(files.weights, weights);
    await writeSafetensors(files.images, new Map([['images', images]]));
    for (const python of options.python) {
      const { server, version } = await PytorchServer.start({ ...files, python, threads: options.threads });
      rivals.push({ server, name: `PyTorch ${version}` });
    }
    const cases: InferCase[] = [];
    for (const width of options.width) {
      const { bytes, multiplyAdds } = await exportModel(
        { network, config, weights, checkpoint: '', form: plainForm },
        width,
      );
      const path = join(work, `slimclr.${width}.onnx`);
      await writeFile(path, bytes);
      const models: Model[] = [{ side: 'slimclr', name: 'slimclr export', path }];
      for (const rival of rivals) models.push(...(await exportRival(rival, width, work)));
      for (const batch of options.batch) {
        const timings = await compare(models, rivals, { width, images: leading(images, batch) }, options);
        cases.push({ width, batch, multiplyAdds, timings });
        console.log(formatCase(cases.at(-1)!));
      }
    }
    console.log(formatSummary(cases));
  } finally {
    for (const { server } of rivals) server.close();
    await rm(work, { recursive: true });
  }
}

interface Model {
  readonly side: Side;
  readonly name: string;
  readonly path: string;
}

/** What torch.onnx writes, where it works. */
async function exportRival({ server, name }: Rival, width: number, work: string): Promise<Model[]> {
  const path = join(work, `${name}.${width}.onnx`);
  const reply = await server.export(path, width);
  if ('exporter' in reply) {
    return [{ side: 'torch.onnx', name: `${name} torch.onnx (${reply.exporter})`, path }];
  }
  console.log(`${name}: torch.onnx does not work (${reply.error})`);
  return [];
}

async function compare(
  models: readonly Model[],
  rivals: readonly Rival[],
  { width, images }: { width: number; images: Tensor },
  { seconds, threads }: Options,
): Promise<InferCase['timings']> {
  const sessions: InferenceSession[] = [];
  try {
    const contenders: Contender[] = [];
    for (const { side, name, path } of models) {
      // As one deploys a model: the default options, but for the number of threads.
      const session = await InferenceSession.create(path, { intraOpNumThreads: threads });
      sessions.push(session);
      contenders.push(sessionContender(side, name, session, images));
    }
    for (const { server, name } of rivals) {
      for (const setting of await server.open(width, images.dims[0]!)) {
        const side = setting.startsWith('eager') ? 'eager' : 'frozen';
        contenders.push(pytorchContender(side, `${name} ${setting}`, server, setting));
      }
    }
    await checkAgreement(contenders);
    const medians = await takeTurns(contenders, seconds);
    return contenders.map(({ side, name }, i) => ({ side, name, milliseconds: medians[i]! }));
  } finally {
    for (const session of sessions) await session.release();
  }
}

function sessionContender(side: Side, name: string, session: InferenceSession, images: Tensor): Contender {
  return {
    side,
    name,
    async features() {
      const { features } = await session.run({ images });
      return features!.data as Float32Array;
    },
    async time(runs, warmUp) {
      const times: number[] = [];
      for (let run = -warmUp; run < runs; run++) {
        const start = performance.now();
        await session.run({ images });
        if (run >= 0) times.push(performance.now() - start);
      }
      return times;
    },
  };
}

function pytorchContender(side: Side, name: string, server: PytorchServer, setting: string): Contender {
  return {
    side,
    name,
    features: () => server.features(setting),
    time: (runs, warmUp) => server.time(setting, runs, warmUp),
  };
}

/** Throws a SlimclrError when a contender does not compute the features of the first. */
async function checkAgreement([first, ...others]: readonly Contender[]): Promise<void> {
  const expected = Array.from(await first!.features());
  const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  for (const other of others) {
    const found = await other.features();
    const error = expected.reduce((max, value, i) => Math.max(max, Math.abs(value - found[i]!)), 0) / largest;
    // Not `>`: NaN is a failure.
    if (found.length === expected.length && error <= tolerance) continue;
    throw new SlimclrError(
      `${other.name} computes other features than ${first!.name}: relative error ${error.toExponential(1)}; ` +
        `accepted: at most ${tolerance}`,
    );
  }
}

/**
 * Median milliseconds of each contender. They take turns in an order drawn each round, so that none always follows
 * the same other.
 */
async function takeTurns(contenders: readonly Contender[], seconds: number): Promise<number[]> {
  const times: number[][] = contenders.map(() => []);
  const first: number[] = [];
  for (const contender of contenders) first.push(...(await contender.time(1, 1)));
  const random = new Random(config.seed, 2);
  const end = performance.now() + 1000 * seconds;
  for (let round = 0; round < minimumRounds || performance.now() < end; round++) {
    for (const i of random.permutation(contenders.length)) {
      await setTimeout(restMilliseconds);
      const runs = Math.ceil(blockMilliseconds / first[i]!);
      const warmUp = Math.ceil(warmUpMilliseconds / first[i]!);
      times[i]!.push(...(await contenders[i]!.time(runs, warmUp)));
    }
  }
  return times.map(median);
}

/**
 * Weights as training could leave them: an exporter may drop a bias that is 0 everywhere, as all are in a network
 * whose batch norms are as initialised.
 */
function drawWeights({ declarations }: Network): Map<string, TensorData> {
  const weights = initialWeights(declarations, config.seed);
  const random = new Random(config.seed);
  for (const [name, { data }] of weights) {
    if (name.endsWith('.weight')) continue;
    const positive = /\.(gamma|running_var)$/.test(name);
    for (let i = 0; i < data.length; i++) {
      data[i] = positive ? random.uniform(0.5, 1) : random.uniform(-0.1, 0.1);
    }
  }
  return weights;
}

function drawImages(count: number): TensorData & { readonly data: Float32Array } {
  const size = config.data.imageSize;
  const random = new Random(config.seed, 1);
  const data = Float32Array.from({ length: count * 3 * size * size }, () => random.normal());
  return { dtype: 'float32', shape: [count, 3, size, size], data };
}

function leading({ shape: [count, ...image], data }: ReturnType<typeof drawImages>, batch: number): Tensor {
  return new Tensor('float32', data.subarray(0, (batch * data.length) / count!), [batch, ...image]);
}

function parse(args: string[]): Options {
  const widths: Config['widths'] = config.widths;
  const positive = (value: string): number => {
    if (/^[1-9]\d{0,3}$/.test(value)) return Number(value);
    throw new InvalidArgumentError('accepted: an integer from 1');
  };
  /** Values of an option that is repeated replace the default together. */
  const list =
    <T>(one: (value: string) => T, fallback: readonly T[]) =>
    (value: string, values: readonly T[]): readonly T[] =>
      values === fallback ? [one(value)] : [...values, one(value)];
  const width = (value: string): number => {
    if (widths.includes(Number(value))) return Number(value);
    throw new InvalidArgumentError(`accepted: ${widths.join(', ')}`);
  };
  const batches = [1, 16];
  const pythons = ['/usr/bin/python3'];
  return new Command('npm run bench -- infer')
    .description('Speed of exported ResNet-50 models against PyTorch and its own export.')
    .option('--python <path...>', 'Pythons that have PyTorch', list(String, pythons), pythons)
    .option('--width <number...>', 'widths to compare', list(width, widths), widths)
    .option('--batch <n...>', 'batch sizes', list(positive, batches), batches)
    .option('--seconds <n>', 'time for each width and batch size', positive, 20)
    .option('--threads <n>', 'threads of each side', positive, 2)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse(args, { from: 'user' })
    .opts<Options>();
}
