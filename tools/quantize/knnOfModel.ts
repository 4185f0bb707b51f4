import type { Config } from '../../src/config/schema.js';
import { evaluationBatches } from '../../src/data/evaluationBatches.js';
import type { Engine } from '../../src/engines/engine.js';
import { floats, HostGraph } from '../../src/engines/hostGraph.js';
import { encoderBatchSize } from '../../src/evaluation/features.js';
import { knnAccuracy } from '../../src/evaluation/knn.js';
import { defaultKnnSettings } from '../../src/evaluation/knnSettings.js';
import type { LabelledImages, LabelledSource } from '../../src/evaluation/labelledImages.js';
import type { Accuracy } from '../../src/evaluation/results.js';
import type { TensorData } from '../../src/onnx/safetensors.js';

/** kNN accuracy of the features that a model makes of `images`. */
export async function knnOfModel(
  model: Uint8Array,
  { data: { imageSize, mean, std } }: Config,
  { train, test, classes }: LabelledImages,
  engine: Engine,
): Promise<Accuracy> {
  const graph = await HostGraph.open(model, engine);
  const features = async (source: LabelledSource) => {
    const rows: TensorData[] = [];
    const batchSize = encoderBatchSize(imageSize);
    for await (const { images, count } of evaluationBatches(source, { imageSize, mean, std, batchSize })) {
      const fed = { images: floats(images, [count, 3, imageSize, imageSize]) };
      rows.push((await graph.run(fed))['features']!);
    }
    const { shape, data } = concatenated(rows);
    return { count: shape[0]!, channels: shape[1]!, data: data as Float32Array, labels: source.labels };
  };
  try {
    return await knnAccuracy(
      await features(train),
      await features(test),
      classes.length,
      defaultKnnSettings,
      engine,
    );
  } finally {
    await graph.close();
  }
}

/** Tensors of float32 one after the other along the first axis. */
export function concatenated(tensors: readonly TensorData[]): TensorData {
  const rows = tensors.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const shape = [rows, ...tensors[0]!.shape.slice(1)];
  const data = new Float32Array(shape.reduce((a, b) => a * b));
  let offset = 0;
  for (const tensor of tensors) {
    data.set(tensor.data as Float32Array, offset);
    offset += tensor.data.length;
  }
  return floats(data, shape);
}
