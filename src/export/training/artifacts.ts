import { gradients } from '../../autodiff.js';
import type { LinearClassifier } from '../../evaluation/linearClassifier.js';
import type { Graph, Value } from '../../graph/graph.js';
import { rewrite } from '../../graph/rewrite.js';
import { encodeModel } from '../../onnx/model.js';
import { Builder } from '../../ops/builder.js';
import { bindWeights } from '../../programs/bindWeights.js';
import { emitFrozen } from '../../programs/emitFrozen.js';
import type { Network } from '../../programs/network.js';
import { emit } from '../../targets/emit.js';
import { lower } from '../../targets/lower.js';
import { ortTraining } from '../../targets/ortTraining/index.js';
import { portable } from '../../targets/portable.js';
import type { Target } from '../../targets/target.js';
import { version } from '../../version.js';
import { exportMetadata, withClassifier, type ExportSubject } from '../exportModel.js';
import { foldBatchNorm } from '../foldBatchNorm.js';
import { classifierTensors, inferenceGraph } from '../inferenceGraph.js';
import { encodeCheckpoint, type CheckpointParameter } from './checkpointFile.js';
import { optimizerModel } from './optimizerModel.js';
import type { TrainableLayers } from './trainableLayers.js';

/** What is fine-tuned on a device: one width of an encoder, with a classifier. */
export interface TrainingSubject extends Omit<ExportSubject, 'form' | 'toPrecision'> {
  readonly width: number;
  /** As it is when training begins. */
  readonly classifier: LinearClassifier;
  /** Names of the classes, where they are known. */
  readonly classNames: readonly string[] | null;
  readonly trainable: TrainableLayers;
  /** What the learning rate that the API begins with, 0.001, stands for; default that. */
  readonly learningRate?: number;
}

/** Names of the files that the on-device training API of onnxruntime-training takes. */
export const artifactFiles = [
  'training_model.onnx',
  'eval_model.onnx',
  'optimizer_model.onnx',
  'checkpoint',
] as const;

export interface TrainingArtifacts {
  readonly files: Readonly<Record<(typeof artifactFiles)[number], Uint8Array>>;
  readonly trained: readonly CheckpointParameter[];
  readonly frozen: readonly CheckpointParameter[];
  /** images -> features, logits: the part of `eval_model.onnx` before the loss, with the weights of the checkpoint. */
  readonly inference: Uint8Array;
}

/**
 * All that fine-tuning one width on a device takes, for any batch size. Batch norm keeps its running statistics, which
 * are constants of the models; it is folded into its convolution where neither is trained. All other weights are in the
 * checkpoint alone. Deterministic: the same weights give the same bytes. `verified` is what the metadata say.
 */
export function trainingArtifacts(subject: TrainingSubject, verified: boolean): TrainingArtifacts {
  const { network, width, classNames, trainable } = subject;
  const isTrained = trainedTensors(network, trainable);
  const classifying = classifyingGraph(subject, isTrained);
  const statistics = new Set(network.declarations.statistics.map(({ name }) => name));
  const parameters = [...classifying.defaults.keys()]
    .filter(({ name }) => !statistics.has(name))
    .map((parameter) => stored(classifying, parameter));
  const trained = parameters.filter(({ name }) => isTrained(name));
  const frozen = parameters.filter(({ name }) => !isTrained(name));
  const metadata = exportMetadata(subject, width, classNames ?? undefined, verified);
  const inCheckpoint = new Set(parameters.map(({ name }) => name));

  const encode = (graph: Graph, target: Target): Uint8Array => {
    const model = emit(lower(graph, target), { opset: target.opset, version, metadata });
    const constants = new Set(
      model.initializers.map(({ name }) => name).filter((name) => !inCheckpoint.has(name)),
    );
    return encodeModel({
      ...model,
      inputs: model.inputs.filter(({ name }) => !constants.has(name)),
      initializers: model.initializers.filter(({ name }) => constants.has(name)),
      // A value of this name, for inference models that are made on the device.
      outputs: model.outputs.filter(({ name }) => name !== 'features'),
    });
  };
  const evaluation = withLoss(classifying);
  const training = withGradients(evaluation, isTrained);
  return {
    files: {
      'training_model.onnx': encode(training, ortTraining({ cuda: false })),
      'eval_model.onnx': encode(evaluation, portable),
      'optimizer_model.onnx': optimizerModel(subject.learningRate),
      checkpoint: encodeCheckpoint({ trained, frozen, properties: metadata }),
    },
    trained,
    frozen,
    inference: encodeModel(emitFrozen(classifying, portable)),
  };
}

function stored(graph: Graph, parameter: Value): CheckpointParameter {
  const fallback = graph.defaults.get(parameter);
  if (fallback?.kind !== 'inline') throw new Error(`${parameter.name} has no inline default`);
  return { name: parameter.name, shape: parameter.dims, values: fallback.values as Float32Array };
}

/** images `[batch, 3, S, S]` -> features `[batch, C_w]`, logits `[batch, classes]`. */
function classifyingGraph(subject: TrainingSubject, isTrained: (name: string) => boolean): Graph {
  const { network, config, width, weights, classifier } = subject;
  const graph = inferenceGraph(network, config, width, { classes: classifier.classes });
  const bound = bindWeights(graph, withClassifier(weights, classifier));
  return foldBatchNorm(bound, ({ name }) => isTrained(name));
}

/**
 * With the input labels int64 `[batch]` and, before the others, the output loss `[]`. The training model has the same
 * outputs first: onnxruntime-web calls those of an evaluation by their names.
 */
function withLoss(classifying: Graph): Graph {
  const graph = rewrite(classifying, { replace: () => null });
  const outputs = [...graph.outputs];
  const labels = graph.input('labels', { dtype: 'int64', shape: ['batch'] });
  graph.outputs.clear();
  const logits = outputs.find(([name]) => name === 'logits')![1];
  graph.output('loss', new Builder(graph).op('SoftmaxCrossEntropyLoss', [logits, labels]));
  for (const [name, value] of outputs) graph.output(name, value);
  return graph;
}

/** With the gradient of each trained parameter added to a buffer of the API, or put there after `lazy_reset_grad`. */
function withGradients(evaluation: Graph, isTrained: (name: string) => boolean): Graph {
  const graph = rewrite(evaluation, { replace: () => null });
  const parameters = [...graph.defaults.keys()].filter(({ name }) => isTrained(name));
  const found = gradients(new Builder(graph), graph.outputs.get('loss')!, parameters);
  const buffers = parameters.map(({ name, type }) => graph.input(`${name}_grad.accumulation.buffer`, type));
  const flag = { dtype: 'bool', shape: [1] } as const;
  const reset = graph.input('lazy_reset_grad', flag);
  for (const [i, { name }] of parameters.entries()) {
    const inputs = [buffers[i]!, found[i]!, reset];
    const { outputs } = graph.add('InPlaceAccumulatorV2', 'com.microsoft', inputs, [flag]);
    graph.output(`${name}_grad.accumulation.out`, outputs[0]!);
  }
  return graph;
}

/** Which tensors are trained. The running statistics of batch norm never are. */
function trainedTensors(
  { encoder, declarations }: Network,
  layers: TrainableLayers,
): (name: string) => boolean {
  const statistics = new Set(declarations.statistics.map(({ name }) => name));
  const ofClassifier = new Set<string>(Object.values(classifierTensors));
  return (name) => {
    if (ofClassifier.has(name)) return true;
    if (layers === 'classifier' || statistics.has(name)) return false;
    return layers === 'all' || name.startsWith(encoder.lastStage);
  };
}
