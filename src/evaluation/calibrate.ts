import type { Config } from '../config/schema.js';
import { evaluationBatches } from '../data/evaluationBatches.js';
import type { ImageSource } from '../data/source.js';
import { floats, type EngineSource } from '../engines/hostGraph.js';
import type { TensorData } from '../onnx/safetensors.js';
import type { Weights } from '../programs/bindWeights.js';
import { calibrateProgram } from '../programs/embed.js';
import type { Network } from '../programs/network.js';
import { Random } from '../random.js';
import { openProgram, weightFeeds } from './openGraph.js';

/** First word of the random stream that orders the images of a calibration. */
const calibrationStream = 0x63616c69;

/**
 * Running statistics of an encoder that has none yet: the average over one pass of each batch's mean and unbiased
 * variance (universally slimmable networks, Yu and Huang, 2019, section 3.3). The images are shuffled by
 * the config's seed, because a batch of one class, which a folder's order gives, has too small a variance; images
 * that fill no batch are left out. `onBatch` is called with the number of images done.
 */
export async function calibrate(
  network: Network,
  config: Config,
  widths: readonly number[],
  weights: Weights,
  source: ImageSource,
  onBatch?: (done: number) => void,
  on: EngineSource = config.runtime,
): Promise<Map<string, TensorData>> {
  const { channels, imageSize, mean, std } = config.data;
  const batchSize = Math.min(config.batchSize, source.length);
  const programs = await Promise.all(
    widths.map((width) =>
      openProgram(network, config, calibrateProgram(network, { ...config, batchSize }, width), on),
    ),
  );
  const sums = new Map<string, Float64Array>();
  let batches = 0;
  try {
    const order = new Random(calibrationStream, config.seed).permutation(source.length);
    const shuffled: ImageSource = { ...source, read: (index) => source.read(order[index]!) };
    for (const { entry, graph } of programs) await graph.hold(weightFeeds(entry.inputs, weights));
    for await (const batch of evaluationBatches(shuffled, { imageSize, mean, std, batchSize })) {
      if (batch.count < batchSize) break;
      const images = floats(batch.images, [batchSize, channels, imageSize, imageSize]);
      for (const { entry, graph } of programs) {
        const outputs = await graph.run({ images });
        for (const { name, of } of entry.outputs) {
          accumulate(sums, of!, outputs[name]!.data as Float32Array);
        }
      }
      batches++;
      onBatch?.(batch.start + batch.count);
    }
  } finally {
    await Promise.all(programs.map(({ graph }) => graph.close()));
  }
  return new Map(
    [...sums].map(([name, sum]) => {
      const data = Float32Array.from(sum, (total) => total / batches);
      return [name, { dtype: 'float32', shape: [data.length], data }];
    }),
  );
}

function accumulate(sums: Map<string, Float64Array>, name: string, values: Float32Array): void {
  let sum = sums.get(name);
  if (!sum) sums.set(name, (sum = new Float64Array(values.length)));
  for (let i = 0; i < values.length; i++) sum[i]! += values[i]!;
}
