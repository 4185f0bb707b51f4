import type { Config } from './schema.js';

/**
 * Contradictions between keys, one sentence each: what the schema, which sees one key at a time, cannot
 * tell. `config` has passed the schema.
 */
export function checkConfig(config: Config): string[] {
  const { batchSize, encoder, epochs, method, schedule, widths } = config;
  const problems: string[] = [];

  // Keys replace the oldest queue entries batch by batch (docs/method.md, step 6).
  if (method.queueSize % batchSize !== 0) {
    problems.push(
      `method.queueSize ${method.queueSize} is not a multiple of batchSize ${batchSize}; accepted: multiples of ${batchSize}`,
    );
  }
  if (widths.length > 1 && method.slimStartEpoch >= epochs) {
    problems.push(
      `method.slimStartEpoch ${method.slimStartEpoch} is not below epochs ${epochs}, so the sub-networks would never train; accepted: 0 to ${epochs - 1}`,
    );
  }
  if (config.data.limit > 0 && config.data.limit < batchSize) {
    problems.push(
      `data.limit ${config.data.limit} does not fill one batch of batchSize ${batchSize}; accepted: 0 (all images) or at least ${batchSize}`,
    );
  }
  if (schedule.warmupFrom > schedule.peak) {
    problems.push(
      `schedule.warmupFrom ${schedule.warmupFrom} is above schedule.peak ${schedule.peak}; accepted: 0 to ${schedule.peak}`,
    );
  }
  const { target, provider } = config.runtime;
  if (target === 'cpu' && provider !== 'cpu') {
    problems.push(
      `runtime.target "cpu" does not run on runtime.provider "${provider}"; accepted: "auto", "portable"`,
    );
  }

  const narrowStem = ['resnet20', 'resnet32', 'resnet44', 'resnet56'].includes(encoder.name);
  if (narrowStem && encoder.stem !== 'cifar') {
    problems.push(
      `encoder.stem "${encoder.stem}" does not exist for encoder.name "${encoder.name}"; accepted: "cifar"`,
    );
  }
  const stemChannels = narrowStem ? 16 : 64;
  for (const width of widths) {
    if (Math.floor(stemChannels * width) === 0) {
      problems.push(
        `widths holds ${width}, which leaves no channel of the ${stemChannels} in the first layer of ${encoder.name}; accepted: at least ${1 / stemChannels}`,
      );
    }
  }
  return problems;
}
