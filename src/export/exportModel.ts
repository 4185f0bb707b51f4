import type { Config } from '../config/schema.js';
import { shortSide } from '../data/transform.js';
import type { LinearClassifier } from '../evaluation/linearClassifier.js';
import type { Graph } from '../graph/graph.js';
import { encodeModel, type OnnxModel } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { bindWeights, bindWholeWeights, type Weights } from '../programs/bindWeights.js';
import { emitFrozen } from '../programs/emitFrozen.js';
import { countMultiplyAdds } from '../programs/flops.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { Network } from '../programs/network.js';
import { portable } from '../targets/portable.js';
import { version } from '../version.js';
import { oldestOpset, plainForm, type ExportForm } from './form.js';
import { foldBatchNorm, scaleByBatchNorm } from './foldBatchNorm.js';
import { withInputForm } from './inputForm.js';
import { forInterchange } from './interchange.js';
import { shareWeights, type ExternalData } from './sharedWeights.js';
import { preprocessingOf } from './preprocessing.js';
import { classifierTensors, countParameters, inferenceGraph } from './inferenceGraph.js';

/** What an exported model computes, and where it comes from. */
export interface ExportedModel {
  readonly bytes: Uint8Array;
  /** Weights that are not in `bytes`; null: all are. */
  readonly externalData: ExternalData | null;
  /** Trained elements, batch norm's gamma and beta counted as they were before folding, as papers count. */
  readonly parameters: number;
  /** Multiply-adds of one image. */
  readonly multiplyAdds: number;
}

/**
 * Rewrites the graph of a width, batch norm folded and all weights inline float32 defaults, for `form.precision`.
 * Inputs and outputs stay.
 */
export type PrecisionStage = (graph: Graph, subject: ExportSubject, width: number) => Graph | Promise<Graph>;

/** What the models of all widths are made of. */
export interface ExportSubject {
  readonly network: Network;
  /** `data.imageSize` is that of the models. */
  readonly config: Config;
  readonly weights: Weights;
  /** SHA-256 of the checkpoint that the weights are of. */
  readonly checkpoint: string;
  readonly form: ExportForm;
  /** Default: the oldest that the form allows. */
  readonly opset?: number;
  /** Needed where `form.precision` is not float32. */
  readonly toPrecision?: PrecisionStage;
}

/** A classifier for the output `logits`, and the names of its classes. */
export interface ExportClassifier {
  readonly classifier: LinearClassifier;
  readonly classes: readonly string[];
}

/**
 * A standalone ONNX model of one width: weights cut to what the width uses, batch norm folded into the
 * convolutions. README.md in this folder lists names, shapes and metadata. Deterministic: the same weights give the
 * same bytes. `verified` is what the metadata say: a model that is to be verified is not written before.
 */
export async function exportModel(
  subject: ExportSubject,
  width: number,
  classifier?: ExportClassifier,
  verified = true,
): Promise<ExportedModel> {
  const { model, ...costs } = await inferenceModel(subject, width, classifier, verified);
  return { bytes: encodeModel(model), externalData: null, ...costs };
}

/**
 * The models of widths, whose weights lie in one file: convolutions at full width and without batch norm, which the
 * graph of a width cuts and scales by output channel. `classifierOf` gives the classifier of a width.
 */
export async function exportFamily(
  subject: ExportSubject,
  widths: readonly number[],
  classifierOf: (width: number) => ExportClassifier | undefined,
  verified = true,
): Promise<ReadonlyMap<number, ExportedModel>> {
  const made = await Promise.all(
    widths.map((width) => inferenceModel(subject, width, classifierOf(width), verified)),
  );
  const { models, externalData } = shareWeights(
    subject.config.encoder.name,
    made.map(({ model }) => model),
  );
  return new Map(
    made.map(({ parameters, multiplyAdds }, i) => [
      widths[i]!,
      { bytes: encodeModel(models[i]!), externalData, parameters, multiplyAdds },
    ]),
  );
}

async function inferenceModel(
  subject: ExportSubject,
  width: number,
  classifier: ExportClassifier | undefined,
  verified: boolean,
): Promise<Omit<ExportedModel, 'bytes' | 'externalData'> & { readonly model: OnnxModel }> {
  const { network, config, form } = subject;
  const { graph, folded } = floatGraph(subject, width, classifier);
  const converted = await inPrecision(folded, subject, width);
  const metadata = exportMetadata(subject, width, classifier?.classes, verified);
  const ready = withInputForm(converted, config.data, form);
  const model = forInterchange(emitFrozen(ready, portable, metadata, subject.opset ?? oldestOpset(form)));
  const graphName = `${config.encoder.name}.${widthLabel(width)}`;
  return {
    model: { ...model, graphName },
    parameters: countParameters(network, graph, width),
    multiplyAdds: countMultiplyAdds(graph) / (form.batch ?? 1),
  };
}

/** The graph of a width as it is declared, and in float32 with its weights bound and batch norm folded, or as shared ones have them. */
export function floatGraph(
  { network, config, weights, form }: ExportSubject,
  width: number,
  classifier?: ExportClassifier,
): { readonly graph: Graph; readonly folded: Graph } {
  const graph = inferenceGraph(network, config, width, {
    head: form.head,
    maps: form.outputs,
    batch: form.batch,
    classes: classifier?.classes.length ?? 0,
  });
  const tensors = classifier ? withClassifier(weights, classifier.classifier) : weights;
  const folded = form.shared
    ? scaleByBatchNorm(bindWholeWeights(graph, tensors))
    : foldBatchNorm(bindWeights(graph, tensors));
  return { graph, folded };
}

async function inPrecision(graph: Graph, subject: ExportSubject, width: number): Promise<Graph> {
  const { form, toPrecision } = subject;
  if (form.precision === 'float32') return graph;
  if (!toPrecision) throw new Error(`nothing makes a model ${form.precision}`);
  return toPrecision(graph, subject, width);
}

/** What `metadata_props` say of a model: README.md in this folder. */
export function exportMetadata(
  {
    config,
    checkpoint,
    form = plainForm,
  }: Pick<ExportSubject, 'config' | 'checkpoint'> & Partial<Pick<ExportSubject, 'form'>>,
  width: number,
  classes: readonly string[] | undefined,
  verified: boolean,
): Record<string, string> {
  const { depth, imageSize, mean, std } = config.data;
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
    ...(depth !== 8 && { depth: String(depth) }),
    inGraph: JSON.stringify(preprocessingOf(config.data, form).inGraph),
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
