import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configSchema } from '../../src/config/schema.js';
import type {
  DiagnosticsResult,
  ExportResult,
  FinetuneResult,
  KnnResult,
  ProbeResult,
  WidthAccuracy,
} from '../../src/evaluation/results.js';
import type { Candidates } from '../../src/export/candidates.js';
import type { Pictures } from '../../src/report/pictures.js';
import { thumbnail } from '../../src/report/thumbnail.js';
import type { Diagnostics } from '../../src/diagnostics/measured.js';
import type { LoggedEvent, TrainingEvent, WidthLoss } from '../../src/training/events.js';
import { logFormat } from '../../src/training/logFormat.js';

const startTime = Date.parse('2026-01-05T10:00:00Z');
const labels = ['w1.00', 'w0.75', 'w0.50', 'w0.25'];
const stepsPerEpoch = 156;

export const exampleConfig = configSchema.parse({
  epochs: 8,
  batchSize: 64,
  data: { limit: 10000 },
  method: { kind: 'moco-v2', queueSize: 1024 },
  techniques: { slowStart: { kind: 'full-width-first', epochs: 2 } },
  monitor: { kind: 'knn', everyEpochs: 1 },
  diagnostics: { everySteps: 26 },
});

/**
 * A finished run of 8 epochs of 156 steps, each step 0.1 s, a twentieth of it waiting; the sub-networks start at
 * step 312. The monitor runs after each epoch, the diagnostics every 26 steps, the first at step 25.
 */
export function exampleEvents(): LoggedEvent[] {
  const steps = 8 * stepsPerEpoch;
  const start = {
    type: 'start',
    format: logFormat,
    version: '0.1.0',
    config: exampleConfig,
    labels,
    images: 10000,
  } as const;
  const events: TrainingEvent[] = [{ ...start, stepsPerEpoch, step: 0 }];
  for (let step = 0; step < steps; step++) {
    const epoch = Math.floor(step / stepsPerEpoch);
    events.push({
      type: 'step',
      epoch,
      step,
      learningRate: 0.06 * (1 + Math.cos((Math.PI * step) / steps)),
      losses: exampleLosses(step, epoch < 2 ? 1 : labels.length),
      seconds: 0.1,
      computeSeconds: 0.09,
      loaderSeconds: 0.005,
    });
    if (step % 26 === 25) {
      events.push({ type: 'diagnostics', epoch, step, diagnostics: exampleDiagnostics(step, epoch < 2) });
    }
    if ((step + 1) % stepsPerEpoch === 0) {
      const accuracies = Object.fromEntries(
        labels.map((label, i) => [label, { top1: 0.5 - 0.03 * i - 0.2 * Math.exp(-epoch / 3), top5: 0.9 }]),
      );
      events.push({ type: 'knn', epoch, step, accuracies, seconds: 0.1 });
    }
  }
  events.push({ type: 'stop', reason: 'done', step: steps, seconds: 0.1 * steps + 3 });
  return events.map((event, i) => ({ ...event, time: new Date(startTime + 100 * i).toISOString() }));
}

/** Of the full width at temperature 5, nearly that of a uniform distribution over a queue of 4096. */
export const teacherEntropy = 207.9;

function exampleLosses(step: number, active: number): Record<string, WidthLoss> {
  const losses = labels.slice(0, active).map((label, i): [string, WidthLoss] => {
    const info_nce = 3.5 + 3.4 * Math.exp(-step / 300) + 0.25 * i + 0.2 * Math.sin(step * (i + 1));
    const distillation = teacherEntropy + 0.6 * Math.exp(-(step - 312) / 200) + 0.1 * i;
    const terms = i === 0 ? { info_nce } : { info_nce, distillation };
    if (i === 0) return [label, { loss: info_nce, terms }];
    return [label, { loss: (info_nce + distillation) / 2, terms, teacherEntropy }];
  });
  return Object.fromEntries(losses);
}

const layers = Array.from({ length: 9 }, (_, i) => [1, 2].map((conv) => `encoder.stage${1 + Math.floor(i / 3)}.${i % 3}.conv${conv}.weight`)).flat(); // prettier-ignore

/** Norms and ratios as the paper has them; the narrowest width's embeddings collapse. */
function exampleDiagnostics(step: number, fullWidthOnly: boolean): Diagnostics {
  const wobble = (seed: number) => 0.1 * Math.sin(step / 40 + 2 * seed);
  const pairs = labels.flatMap((wide, i) => labels.slice(i + 1).map((narrow, j) => ({ wide, narrow, i, j })));
  const norm = (i: number) => (0.05 + 0.02 * i) * Math.exp(-step / 900 + wobble(i));
  return {
    gradientNorms: Object.fromEntries(
      labels.map((label, i) => {
        const rest = i === 0 ? null : norm(i) * (fullWidthOnly ? 1.4 : 0.3);
        return [label, { region: norm(i), rest, ratio: rest && rest / norm(i) }];
      }),
    ),
    cosines: fullWidthOnly
      ? []
      : pairs.map(({ wide, narrow, i, j }) => {
          const cosine = 0.6 - 0.25 * j - 0.15 * i + wobble(i + j);
          const ofLayer = (layer: string, l: number) => [layer, cosine - 0.04 * l + wobble(l)] as const;
          return { wide, narrow, cosine, layers: Object.fromEntries(layers.map(ofLayer)) };
        }),
    layerNorms: Object.fromEntries(
      layers.map((layer, l) => [layer, Object.fromEntries(labels.map((label, i) => [label, norm(i + l)]))]),
    ),
    features: Object.fromEntries(
      labels.map((label, i) => {
        const std = i === 3 && step > 1000 ? 0.05 : 1 - 0.5 * Math.exp(-step / 200) - 0.05 * i;
        return [label, { alignment: 0.3 + 0.05 * i + wobble(i), uniformity: -3 * std, std }];
      }),
    ),
    queueAge: { mean: 8.5, max: 16 },
  };
}

/** Two images with two views each; two queries with neighbours of both kinds. */
export async function examplePictures(): Promise<Pictures> {
  const plain = (...colour: number[]) =>
    thumbnail({ width: 32, height: 32, channels: 3, data: Uint8Array.from({ length: 3 * 32 * 32 }, (_, i) => colour[i % 3]!) }); // prettier-ignore
  const [red, blue] = await Promise.all([plain(200, 60, 40), plain(40, 60, 200)]);
  const query = (image: string, className: string) => ({
    image,
    className,
    widths: labels.map((label, i) => ({
      label,
      neighbours: Array.from({ length: 5 }, (_, n) => {
        const sameClass = n < 5 - i;
        const other = sameClass === (className === 'red');
        return {
          image: other ? red : blue,
          className: other ? 'red' : 'blue',
          sameClass,
          cosine: 0.9 - n / 50,
        };
      }),
    })),
  });
  return {
    views: [
      { image: red, views: [blue, red] },
      { image: blue, views: [red, blue] },
    ],
    neighbours: [query(red, 'red'), query(blue, 'blue')],
  };
}

const accuracies = (trained: number[], random: number[]): WidthAccuracy[] =>
  exampleConfig.widths.map((width, i) => ({
    label: labels[i]!,
    width,
    trained: { top1: trained[i]!, top5: 0.9 },
    random: { top1: random[i]!, top5: 0.8 },
  }));

const common = {
  source: 'cifar10',
  testSource: 'cifar10',
  trainImages: 50000,
  testImages: 10000,
  checkpoint: 'checkpoints/epoch-0008.safetensors',
  seconds: 12,
};

export const exampleKnn: KnnResult = {
  kind: 'knn',
  k: 200,
  temperature: 0.1,
  ...common,
  widths: accuracies([0.523, 0.512, 0.487, 0.431], [0.344, 0.339, 0.331, 0.302]),
};

export const exampleProbe: ProbeResult = {
  kind: 'probe',
  protocol: 'features',
  epochs: 100,
  learningRate: 0.3,
  batchSize: 256,
  ...common,
  widths: accuracies([0.554, 0.538, 0.497, 0.402], [0.371, 0.362, 0.344, 0.413]),
};

export const exampleFinetune: FinetuneResult = {
  kind: 'finetune',
  labels: 0.01,
  epochs: 50,
  encoderRate: 0.02,
  classifierRate: 0.2,
  batchSize: 64,
  seed: 0,
  ...common,
  trainImages: 500,
  widths: accuracies([0.382, 0.365, 0.341, 0.288], [0.241, 0.234, 0.22, 0.205]),
};

export const exampleExport: ExportResult = {
  kind: 'export',
  version: 2,
  models: exampleConfig.widths.map((width, i) => ({
    label: labels[i]!,
    width,
    size: null,
    head: false,
    classifier: null,
    file: `export/encoder.${labels[i]!}.onnx`,
    bytes: [1_102_000, 633_400, 294_100, 86_200][i]!,
    parameters: [270_896, 152_988, 68_544, 17_444][i]!,
    multiplyAdds: [40_551_424, 22_900_000, 10_300_000, 2_650_000][i]!,
    latency: [1.234, 0.912, 0.523, 0.3][i]!,
    checkpoint: common.checkpoint,
    provider: 'cpu',
    threads: 2,
    maxRelativeError: 1e-6,
  })),
};

/** An export by budget: at 0.5 and below int8 is slower than float32. */
export const exampleCandidates: Candidates = {
  kind: 'candidates',
  version: 1,
  checkpoint: 'c'.repeat(64),
  budget: { milliseconds: 0.7, bytes: null, multiplyAdds: null },
  criterion: 'knn',
  chosen: { width: 1, precision: 'int8' },
  models: exampleExport.models.flatMap(({ width, label, bytes, parameters, multiplyAdds, latency }, i) =>
    (['float32', 'int8'] as const).map((precision) => {
      const isInt8 = precision === 'int8';
      return {
        ...{ width, label, precision, parameters, multiplyAdds },
        bytes: isInt8 ? Math.round(bytes / 3.5) : bytes,
        latency: {
          milliseconds: isInt8 ? 0.35 + latency / 4 : latency,
          ...{ batch: 1, provider: 'cpu', threads: 2, machine: 'A processor' },
        },
        accuracy: {
          knn: {
            top1: exampleKnn.widths[i]!.trained.top1 - (isInt8 ? 0.004 : 0),
            ...{ top5: 0.9, source: 'cifar10', images: 10000, k: 200, temperature: 0.1 },
          },
          probe: null,
        },
      };
    }),
  ),
};

/** As the events of step 1247, but for the collapse. */
export const exampleDiagnosis: DiagnosticsResult = {
  kind: 'diagnostics',
  source: 'cifar10',
  checkpoint: common.checkpoint,
  step: 1248,
  batches: 8,
  batchImages: 64,
  seconds: 2,
  diagnostics: { ...exampleDiagnostics(1247, false), features: exampleDiagnostics(900, false).features! },
};

/** Writes a run folder; what is not given is not there. */
export function writeRun(
  folder: string,
  { log, results = {} }: { log?: string; results?: Record<string, unknown> },
): string {
  mkdirSync(join(folder, 'results'), { recursive: true });
  if (log !== undefined) writeFileSync(join(folder, 'events.jsonl'), log);
  for (const [kind, result] of Object.entries(results)) {
    writeFileSync(join(folder, 'results', `${kind}.json`), JSON.stringify(result));
  }
  return folder;
}

/** The lines of `events.jsonl`. */
export function logText(events: readonly LoggedEvent[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}
