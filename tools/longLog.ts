import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { formatConfig } from '../src/config/format.js';
import { presets } from '../src/config/presets.js';
import { loadConfig } from '../src/config/load.js';
import { widthLabel } from '../src/nn/widthLabel.js';
import { logFile } from '../src/training/eventLog.js';
import { logFormat } from '../src/training/logFormat.js';

/**
 * Writes a run folder that holds a long log and nothing else: `node dist/tools/longLog.js FOLDER [--steps 300000]
 * [--diagnose 100]`. What reads logs is measured on it: `/usr/bin/time -v node bin/slimclr.js report FOLDER`.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '300000' },
    diagnose: { type: 'string', default: '100' },
  },
});
const [folder] = positionals;
const [steps, every] = [Number(values.steps), Number(values.diagnose)];
if (folder === undefined || !(steps > 0) || !(every >= 0)) {
  console.error('accepted: FOLDER [--steps N] [--diagnose N]');
  process.exit(2);
}

const stepsPerEpoch = 1000;
const config = loadConfig({
  preset: Object.keys(presets)[0]!,
  set: [
    `epochs=${Math.ceil(steps / stepsPerEpoch)}`,
    'data.source=no-images',
    `diagnostics.everySteps=${every}`,
  ],
});
const labels = config.widths.map(widthLabel);
const layers = Array.from({ length: 53 }, (_, i): string => `encoder.layer${i % 4}.${i}.conv.weight`);

function* log(): Generator<string> {
  const line = (time: number, event: object) =>
    `${JSON.stringify({ time: new Date(1.7e12 + 100 * time).toISOString(), ...event })}\n`;
  const start = { type: 'start', format: logFormat, version: '0.1.0', config, labels };
  yield line(0, { ...start, images: 256_000, stepsPerEpoch, step: 0 });
  for (let step = 0; step < steps; step++) {
    const epoch = Math.floor(step / stepsPerEpoch);
    const noise = Math.sin(step) / 10;
    const loss = (i: number) => 3 + Math.exp(-step / 1e5) + noise + i / 4;
    const losses = labels.map((label, i) => {
      const terms = { info_nce: loss(i), ...(i > 0 && { distillation: 2 * loss(i) }) };
      return [label, { loss: loss(i) * 1.5, terms }];
    });
    yield line(step, {
      type: 'step',
      epoch,
      step,
      learningRate: 0.03 * (1 + Math.cos((Math.PI * step) / steps)),
      losses: Object.fromEntries(losses) as object,
      seconds: 0.1 + noise / 100,
      computeSeconds: 0.09 + noise / 100,
      loaderSeconds: 0.001,
    });
    if (every > 0 && step % every === 0) yield line(step, diagnosticsAt(step, epoch));
  }
}

function diagnosticsAt(step: number, epoch: number): object {
  const by = <T>(names: readonly string[], value: (i: number) => T): Record<string, T> =>
    Object.fromEntries(names.map((name, i) => [name, value(i)]));
  const norm = (i: number) => 0.01 * (i + 1) + Math.abs(Math.sin(step + i)) / 1000;
  const pairs = labels.flatMap((wide, i) => labels.slice(i + 1).map((narrow) => ({ wide, narrow })));
  return {
    type: 'diagnostics',
    epoch,
    step,
    diagnostics: {
      gradientNorms: by(labels, (i) => ({ region: norm(i), rest: norm(i) / 2, ratio: 0.5 })),
      cosines: pairs.map((pair) => ({ ...pair, cosine: norm(3), layers: by(layers, norm) })),
      layerNorms: by(layers, () => by(labels, norm)),
      features: by(labels, (i) => ({ alignment: norm(i), uniformity: -1, std: 0.9 })),
      queueAge: { mean: 8, max: 16 },
    },
  };
}

await mkdir(folder, { recursive: true });
await writeFile(join(folder, 'config.json'), formatConfig(config));
await pipeline(Readable.from(log()), createWriteStream(join(folder, logFile)));
