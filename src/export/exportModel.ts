import type { Config } from '../config/schema.js';
import { shortSide } from '../data/transform.js';
import type { LinearClassifier } from '../evaluation/linearClassifier.js';
import { encodeModel } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { bindWeights, type Weights } from '../programs/bindWeights.js';
import { emitFrozen } from '../programs/emitFrozen.js';
import { countMultiplyAdds } from '../programs/flops.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { Network } from '../programs/network.js';
import { portable } from '../targets/portable.js';
import { version } from '../version.js';
import { foldBatchNorm } from './foldBatchNorm.js';
import { classifierTensors, countParameters, inferenceGraph } from './inferenceGraph.js';

/** What an exported model computes, and where it comes from. */
export interface ExportedModel {
  readonly bytes: Uint8Array;
  /** Trained elements, batch norm's gamma and beta counted as they were before folding, as papers count. */
  readonly parameters: number;
  /** Multiply-adds of one image. */
  readonly multiplyAdds: number;
}

export interface ExportSubject {
  readonly network: Network;
  readonly config: Config;
  readonly weights: Weights;
  /** SHA-256 of the checkpoint that the weights are of. */
  readonly checkpoint: string;
  /** Add the embedding that the head makes of the features. */
  readonly head: boolean;
}

/** A classifier for the output `logits`, and the names of its classes. */
export interface ExportClassifier {
  readonly classifier: LinearClassifier;
  readonly classes: readonly string[];
}

/**
 * A standalone ONNX model of one width: weights cut to what the width uses, batch norm folded into the
 * convolutions, any batch size. README.md in this folder lists names, shapes and metadata. Deterministic: the same
 * weights give the same bytes. `verified` is what the metadata say: a model that is to be verified is not written before.
 */
export function exportModel(
  { network, config, weights, checkpoint, head }: ExportSubject,
  width: number,
  classifier?: ExportClassifier,
  verified = true,
): ExportedModel {
  const graph = inferenceGraph(network, config, width, { head, classes: classifier?.classes.length ?? 0 });
  const tensors = classifier ? withClassifier(weights, classifier.classifier) : weights;
  const folded = foldBatchNorm(bindWeights(graph, tensors));
  const metadata = exportMetadata({ config, checkpoint }, width, classifier?.classes, verified);
  const model = emitFrozen(folded, portable, metadata);
  const graphName = `${config.encoder.name}.${widthLabel(width)}`;
  return {
    bytes: encodeModel({ ...model, graphName }),
    parameters: countParameters(network, graph, width),
    multiplyAdds: countMultiplyAdds(graph),
  };
}

/** What `metadata_props` say of a model: README.md in this folder. */
export function exportMetadata(
  { config, checkpoint }: Pick<ExportSubject, 'config' | 'checkpoint'>,
  width: number,
  classes: readonly string[] | undefined,
  verified: boolean,
): Record<string, string> {
  const { imageSize, mean, std } = config.data;
  return {
    slimclr: version,
    checkpoint,
    encoder: config.encoder.name,
    method: config.method.kind,
    width: String(width),
    imageSize: String(imageSize),
    resize: String(shortSide(imageSize)),
    mean: JSON.stringify(mean),
    std: JSON.stringify(std),
    verified: String(verified),
    ...(classes && { classes: JSON.stringify(classes) }),
  };
}

/** The weights with those of a classifier. */
export function withClassifier(
  weights: Weights,
  { classes, channels, weight, bias }: LinearClassifier,
): Weights {
  const tensor = (shape: readonly number[], data: Float32Array): TensorData => ({
    dtype: 'float32',
    shape,
    data,
  });
  return new Map([
    ...weights,
    [classifierTensors.weight, tensor([classes, channels], weight)],
    [classifierTensors.bias, tensor([classes], bias)],
  ]);
}
