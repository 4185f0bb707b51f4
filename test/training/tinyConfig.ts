import { configSchema, type Config, type ConfigInput } from '../../src/config/schema.js';

/** ResNet-20 at two widths on 48 images of 16 x 16: 6 steps an epoch, 3 epochs, slow start of one. */
export function tinyConfig(source: string, input: ConfigInput = {}): Config {
  return configSchema.parse({
    widths: [1, 0.5],
    epochs: 3,
    batchSize: 8,
    schedule: { kind: 'cosine', peak: 0.05, warmup: 0 },
    ...input,
    runtime: { threads: 1, tune: 'off', ...input.runtime },
    method: input.method ?? { kind: 'moco-v2', queueSize: 32 },
    techniques: { slowStart: { kind: 'full-width-first', epochs: 1 }, ...input.techniques },
    data: { source, imageSize: 16, ...input.data },
  });
}
