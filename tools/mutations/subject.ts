import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { formatConfig } from '../../src/config/format.js';
import { configSchema, type Config } from '../../src/config/schema.js';
import { diagnose } from '../../src/evaluation/diagnose.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { exportRun } from '../../src/export/exportRun.js';
import { updateGolden } from '../../src/golden/golden.js';
import { Random } from '../../src/random.js';
import { pretrain } from '../../src/training/pretrain.js';
import { version } from '../../src/version.js';

/** A small run folder with all that a run may hold, in a temporary folder with what it came from. */
export interface Subject {
  readonly root: string;
  readonly run: string;
  readonly config: Config;
  readonly test: string;
}

/** Trains two steps and runs every command that leaves files. */
export async function makeSubject(): Promise<Subject> {
  const root = await mkdtemp(join(tmpdir(), 'slimclr-mutations-'));
  const [run, train, test] = [join(root, 'run'), join(root, 'train'), join(root, 'test')];
  await writeImages(train, 8, 1);
  await writeImages(test, 3, 2);
  await writeFile(join(root, 'victim'), 'not of the run');
  const config = configSchema.parse({
    widths: [1, 0.5],
    epochs: 1,
    batchSize: 8,
    method: { kind: 'moco-v2', queueSize: 16 },
    data: { source: train, imageSize: 16 },
    monitor: { kind: 'knn', everyEpochs: 1, source: train },
    diagnostics: { everySteps: 1 },
    runtime: { threads: 1, tune: 'off' },
  });
  const cacheDirectory = join(root, 'cache');
  await pretrain({ config, runFolder: run, cacheDirectory });
  const options = { testSource: test, cacheDirectory };
  await evaluateKnn(run, { ...options, k: 3 });
  await evaluateProbe(run, { ...options, epochs: 1 });
  await diagnose(run, { batches: 1, cacheDirectory });
  await exportRun(run, { cacheDirectory });
  await updateGolden(join(run, 'golden'), new Map([['tiny', config]]));
  await mkdir(join(run, 'ablation'));
  await writeFile(join(run, 'ablation', 'ablation.json'), JSON.stringify(await ablationOf(run, config)));
  await writeFile(join(root, 'config.json'), formatConfig(config));
  return { root, run, config, test };
}

/** A copy of the run beside it, whose files may be changed; what the last one was is gone. */
export async function freshCopy({ root, run }: Subject): Promise<string> {
  const copy = join(root, 'copy');
  await rm(copy, { recursive: true, force: true });
  await cp(run, copy, { recursive: true });
  return copy;
}

async function ablationOf(run: string, config: Config): Promise<object> {
  const { widths } = JSON.parse(await readFile(join(run, 'results', 'knn.json'), 'utf8')) as {
    widths: unknown;
  };
  const spread = { mean: 0.5, std: null };
  const gradients = { ratio: 0.5, cosine: null };
  const seconds = { trainingSeconds: 1, evaluationSeconds: 1 };
  return {
    kind: 'ablation',
    version,
    config,
    table: { all: [], naive: ['techniques.slowStart.kind=none'] },
    evaluation: {},
    complete: false,
    runs: [{ variant: 'all', seed: 0, ...seconds, knn: widths, ridge: widths, gradients }],
    failures: [{ variant: 'naive', seed: 0, message: 'diverged' }],
    variants: [
      {
        name: 'all',
        seeds: [0],
        widths: config.widths.map((width) => ({ label: `w${width}`, width, knn: spread, ridge: spread })),
        ratio: spread,
        cosine: null,
        seconds: spread,
      },
    ],
  };
}

/** Two classes of colours with noise. */
async function writeImages(folder: string, count: number, seed: number): Promise<void> {
  const random = new Random(seed);
  for (const [name, level] of Object.entries({ dark: 40, light: 160 })) {
    await mkdir(join(folder, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const pixels = Uint8Array.from({ length: 3 * 16 * 16 }, () => level + random.integer(60));
      const image = sharp(pixels, { raw: { width: 16, height: 16, channels: 3 } });
      await image.toFile(join(folder, name, `${i}.png`));
    }
  }
}
