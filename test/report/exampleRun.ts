import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.js';
import type { ExportResult, KnnResult, ProbeResult, WidthAccuracy } from '../../src/evaluation/results.js';
import type { LoggedEvent, TrainingEvent, WidthLoss } from '../../src/training/events.js';

const startTime = Date.parse('2026-01-05T10:00:00Z');
const labels = ['w1.00', 'w0.75', 'w0.50', 'w0.25'];

export const exampleConfig = loadConfig({
  preset: 'cifar10-resnet20',
  set: ['epochs=8', 'method.slimStartEpoch=2', 'data.limit=10000'],
});

/** A finished run of 8 epochs of 156 steps, each step 0.1 s, a twentieth of it waiting; the sub-networks start at step 312. */
export function exampleEvents(): LoggedEvent[] {
  const stepsPerEpoch = 156;
  const steps = 8 * stepsPerEpoch;
  const events: TrainingEvent[] = [
    {
      type: 'start',
      version: '0.1.0',
      config: exampleConfig,
      labels,
      images: 10000,
      stepsPerEpoch,
      step: 0,
    },
  ];
  for (let step = 0; step < steps; step++) {
    const epoch = Math.floor(step / stepsPerEpoch);
    const active = epoch < 2 ? 1 : labels.length;
    const losses: Record<string, WidthLoss> = {};
    for (const [i, label] of labels.slice(0, active).entries()) {
      const infoNce = 3.5 + 3.4 * Math.exp(-step / 300) + 0.25 * i + 0.2 * Math.sin(step * (i + 1));
      const distillation = 5.2 + 0.6 * Math.exp(-(step - 312) / 200) + 0.1 * i;
      losses[label] =
        i === 0 ? { loss: infoNce, infoNce } : { loss: (infoNce + distillation) / 2, infoNce, distillation };
    }
    events.push({
      type: 'step',
      epoch,
      step,
      learningRate: 0.06 * (1 + Math.cos((Math.PI * step) / steps)),
      losses,
      seconds: 0.1,
      computeSeconds: 0.09,
      loaderSeconds: 0.005,
    });
  }
  events.push({ type: 'stop', reason: 'done', step: steps, seconds: 0.1 * steps + 3 });
  return events.map((event, i) => ({ ...event, time: new Date(startTime + 100 * i).toISOString() }));
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
  epochs: 100,
  learningRate: 0.3,
  batchSize: 256,
  ...common,
  widths: accuracies([0.554, 0.538, 0.497, 0.402], [0.371, 0.362, 0.344, 0.413]),
};

export const exampleExport: ExportResult = {
  kind: 'export',
  checkpoint: common.checkpoint,
  models: exampleConfig.widths.map((width, i) => ({
    label: labels[i]!,
    width,
    file: `export/encoder.${labels[i]!}.onnx`,
    bytes: [1_102_000, 633_400, 294_100, 86_200][i]!,
    parameters: [270_896, 152_988, 68_544, 17_444][i]!,
    multiplyAdds: [40_551_424, 22_900_000, 10_300_000, 2_650_000][i]!,
    latency: [1.234, 0.912, 0.523, 0.3][i]!,
    maxRelativeError: 1e-6,
  })),
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
