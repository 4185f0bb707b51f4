import type { Config } from '../config/schema.js';
import { evaluationBatches, type EvaluationOptions } from '../data/evaluationBatches.js';
import type { ImageSource } from '../data/source.js';
import { SlimclrError } from '../errors.js';
import { sameShape } from '../graph/graph.js';
import { formatType } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { embedProgram } from '../programs/embed.js';
import type { InputEntry } from '../programs/manifest.js';
import type { Network } from '../programs/network.js';
import { floatTensor, type Session, type Tensor, type Tensors } from '../runtime/session.js';
import { openProgram } from './openGraph.js';

/** Tensors at full width by their names in the manifest: parameters and running statistics. */
export type Weights = ReadonlyMap<string, TensorData>;

export interface Features {
  /** Images, n. */
  readonly count: number;
  /** Length of one feature vector, C. */
  readonly channels: number;
  /** [n, C] */
  readonly data: Float32Array;
}

/** An encoder at one width whose weights no longer change; batch norm in eval mode. */
export class FrozenEncoder {
  private constructor(
    private readonly session: Session,
    private readonly weights: Tensors,
    private readonly imageSize: number,
    /** Length of its features. */
    readonly channels: number,
  ) {}

  static async open(
    network: Network,
    config: Config,
    width: number,
    weights: Weights,
  ): Promise<FrozenEncoder> {
    const session = await openProgram(network, config, embedProgram(network, config, width));
    const channels = session.entry.outputs[0]!.shape[1] as number;
    return new FrozenEncoder(
      session,
      weightFeeds(session.entry.inputs, weights),
      config.data.imageSize,
      channels,
    );
  }

  /** Images `[count, 3, S, S]` -> features `[count, C]`. */
  async features(images: Float32Array, count: number): Promise<Float32Array> {
    const { imageSize } = this;
    const feeds = { ...this.weights, images: floatTensor(images, [count, 3, imageSize, imageSize]) };
    return (await this.session.run(feeds))['features']!.data as Float32Array;
  }

  close(): Promise<void> {
    return this.session.close();
  }
}

/**
 * Features of all images of a source, in its order, under each of the encoders. Every image is decoded once.
 * `onBatch` is called with the number of images done.
 */
export async function extractFeatures(
  source: ImageSource,
  config: Config,
  encoders: readonly FrozenEncoder[],
  onBatch?: (done: number) => void,
): Promise<Features[]> {
  const features = encoders.map(({ channels }) => ({
    count: source.length,
    channels,
    data: new Float32Array(source.length * channels),
  }));
  for await (const { images, start, count } of evaluationBatches(source, evaluationOptions(config))) {
    for (const [i, encoder] of encoders.entries()) {
      features[i]!.data.set(await encoder.features(images, count), start * encoder.channels);
    }
    onBatch?.(start + count);
  }
  return features;
}

/** Batches of about the pixels of 128 CIFAR images, so that activations stay small at any image size. */
function evaluationOptions({ data: { imageSize, mean, std } }: Config): EvaluationOptions {
  const batchSize = Math.max(4, Math.min(128, Math.round((128 * 32 * 32) / imageSize ** 2)));
  return { imageSize, mean, std, batchSize };
}

/** The tensors that a program's parameter and statistic inputs are fed with. */
export function weightFeeds(inputs: readonly InputEntry[], weights: Weights): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const { name, dtype, shape, kind } of inputs) {
    if (kind !== 'parameter' && kind !== 'statistic') continue;
    const tensor = weights.get(name);
    if (!tensor) throw new SlimclrError(`the weights hold no tensor "${name}"`);
    if (tensor.dtype !== dtype || !sameShape(tensor.shape, shape)) {
      throw new SlimclrError(
        `tensor "${name}" of the weights is ${formatType(tensor)}, ${formatType({ dtype, shape })} is accepted`,
      );
    }
    feeds[name] = floatTensor(tensor.data as Float32Array, tensor.shape);
  }
  return feeds;
}
