import { configSchema, type Config, type ConfigInput } from '../../src/config/schema.js';

/** ResNet-20 at two widths on 48 images of 16 x 16: 6 steps an epoch, 3 epochs, slow start of one. */
export function tinyConfig(source: string, input: ConfigInput = {}): Config {
  return configSchema.parse({
    widths: [1, 0.5],
    epochs: 3,
    batchSize: 8,
    schedule: { peak: 0.05, warmup: 0 },
    ...input,
    runtime: { threads: 1, tune: 'off', ...input.runtime },
    method: { queueSize: 32, slimStartEpoch: 1, ...input.method },
    data: { source, imageSize: 16, ...input.data },
  });
}
