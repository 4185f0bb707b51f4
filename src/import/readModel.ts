import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { parseConfig, withAssignments } from '../config/load.js';
import type { Config, ConfigInput } from '../config/schema.js';
import { SlimclrError } from '../errors.js';
import { sameShape } from '../graph/graph.js';
import { networkOf } from '../methods/index.js';
import { widthLabel } from '../nn/widthLabel.js';
import { formatShape } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { printable } from '../printable.js';
import type { Network } from '../programs/network.js';
import {
  bestCheckpoint,
  checkpointFormat,
  latestCheckpoint,
  readCheckpoint,
} from '../training/checkpoint.js';
import { checkEncoder, declared, leftOver, requireFinite } from './checks.js';
import { detectHead, type HeadNames } from './headNames.js';
import { detectResNet, encoderTensorName, type ResNetNames } from './resnetNames.js';
import { floatingTypes } from './tensorValues.js';
import { withWeights, type WeightsFile } from './weightsFile.js';

export interface ReadOptions {
  /** Which dictionary of a checkpoint of PyTorch; default: the one of the usual name. */
  readonly key?: string;
  /** What the names of the encoder begin with; default: that of the one that trains. */
  readonly prefix?: string;
  /** Widths of the model; default those of the file, of a plain network 1 alone. */
  readonly widths?: readonly number[];
  /** Assignments to keys of the config, as `loadConfig` takes them. */
  readonly set?: readonly string[];
}

/** A model of a file: what it is, and its tensors by our names. */
export interface ReadModel {
  readonly path: string;
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
  /** Whose names it has, for a line about it. */
  readonly origin: string;
  readonly config: Config;
  readonly network: Network;
  /** float32; the encoder at the widths that the file has, and its head where it has one. */
  readonly tensors: Map<string, TensorData>;
  /** What of the file was not taken, a few words each. */
  readonly left: readonly string[];
}

/**
 * Reads the model of a file, of the newest checkpoint of a run folder, or, for `RUN/best`, of its best. Throws a UsageError or a SlimclrError, one line
 * with the path in front, for whatever is not in the registry of encoders or lacks a part of it.
 */
export async function readModel(path: string, options: ReadOptions = {}): Promise<ReadModel> {
  const file = await fileOf(path);
  return withWeights(file, options.key, async (weights) => {
    if (weights.metadata['format'] === checkpointFormat) return ownModel(weights, options);
    try {
      return await foreignModel(weights, options);
    } catch (cause) {
      if (!(cause instanceof SlimclrError) || cause.message.startsWith(`${file}: `)) throw cause;
      cause.message = `${file}: ${cause.message}`;
      throw cause;
    }
  });
}

async function fileOf(path: string): Promise<string> {
  const isFolder = (path: string) =>
    stat(path).then(
      (status) => status.isDirectory(),
      () => null,
    );
  const kind = await isFolder(path);
  if (kind === true) return (await latestCheckpoint(path)).path;
  const isBest = kind === null && basename(path) === 'best' && (await isFolder(dirname(path))) === true;
  return isBest ? (await bestCheckpoint(dirname(path))).path : path;
}

/** Of a checkpoint of ours: its parameters and statistics, without what training keeps beside them. */
async function ownModel(
  { path, sha256 }: WeightsFile,
  { widths, set = [] }: ReadOptions,
): Promise<ReadModel> {
  const saved = await readCheckpoint(path);
  const config = withAssignments(
    { ...saved.config, ...(widths && { widths: [...widths] }), init: { file: path, sha256 } },
    set,
  );
  const network = networkOf(config);
  const tensors = new Map<string, TensorData>();
  for (const { name } of declared(network)) {
    const tensor = saved.tensors.get(name);
    if (tensor) tensors.set(name, tensor);
  }
  for (const [name, { data }] of tensors) requireFinite(path, name, data as Float32Array);
  const left =
    saved.tensors.size > tensors.size ? [`${saved.tensors.size - tensors.size} tensors of its training`] : [];
  return { path, sha256, origin: "this package's names", config, network, tensors, left };
}

async function foreignModel(weights: WeightsFile, options: ReadOptions): Promise<ReadModel> {
  const { path, sha256, tensors } = weights;
  const names = detectResNet(tensors, options.prefix);
  const left: string[] = [];
  let head = detectHead(tensors, names);
  let config = configOf(weights, names, head, options);
  let network = networkOf(config);
  if (head) {
    const problem = headProblem(weights, head, network, names);
    if (problem !== null) {
      left.push(`the head ${head.text} (${problem})`);
      head = null;
      config = configOf(weights, names, null, options);
      network = networkOf(config);
    }
  }
  const taken = new Map<string, string>();
  for (const { name } of declared(network)) {
    if (!inFile(name, names)) continue;
    if (name.startsWith('encoder.')) taken.set(name, encoderTensorName(name, names));
    else if (head) taken.set(name, head.nameOf(name));
  }
  const unasked = new Set((names.widths ?? []).filter((width) => !config.widths.includes(width)));
  if (unasked.size > 0) left.push(`batch norm of ${[...unasked].map(widthLabel).join(', ')}`);
  /** Batches that a batch norm has seen, which PyTorch counts, and batch norms of widths that are not asked for. */
  const isIgnored = (name: string) =>
    name.endsWith('.num_batches_tracked') ||
    unasked.has(names.widths?.[Number(/\.bn\.(\d+)\./.exec(name)?.[1])] ?? 0);
  checkEncoder(weights, names, network, taken, isIgnored);
  const used = new Set(taken.values());
  const values = new Map<string, TensorData>();
  for (const [name, theirs] of taken) {
    const tensor = tensors.get(theirs)!;
    if (!floatingTypes.includes(tensor.dtype)) {
      throw new SlimclrError(
        `${printable(theirs)} is ${tensor.dtype}; accepted: ${floatingTypes.join(', ')}`,
      );
    }
    const data = await tensor.read();
    requireFinite(path, theirs, data);
    values.set(name, { dtype: 'float32', shape: tensor.shape, data });
  }
  left.push(...leftOver(weights, names.prefix, (name) => used.has(name) || isIgnored(name)));
  const origin = names.stages ? "the official SlimCLR's names" : "torchvision's names";
  return { path, sha256, origin, config, network, tensors: values, left };
}

/** Images of ImageNet where the stem is made for it, of CIFAR-10 else. */
function configOf(
  { path, sha256 }: WeightsFile,
  { encoder, inputs, widths }: ResNetNames,
  head: HeadNames | null,
  options: ReadOptions,
): Config {
  const isRgb = inputs === 3;
  const statistics = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
  const data: ConfigInput['data'] = {
    ...(encoder.stem === 'imagenet' && { source: 'imagenet', imageSize: 224, ...(isRgb && statistics) }),
    channels: inputs,
  };
  const all = options.widths ?? (widths ? [...widths].sort((a, b) => b - a) : [1]);
  const input: ConfigInput = {
    widths: [...all],
    encoder,
    data,
    ...(!isRgb && { augmentation: { jitter: { saturation: 0, hue: 0 }, grayscale: 0 } }),
    ...(head && { method: head.method }),
    ...(head?.switchable && { techniques: { head: 'switchable' } }),
    init: { file: path, sha256 },
  };
  const { set = [] } = options;
  return set.length > 0 ? withAssignments(parseConfig(input), set) : parseConfig(input);
}

/** Whether the file has the width of a tensor: of a batch norm, or of a head of its own. */
function inFile(name: string, { widths }: ResNetNames): boolean {
  const label = /\.(w[\d.]+)\./.exec(name)?.[1];
  return label === undefined || (widths ?? [1]).some((width) => widthLabel(width) === label);
}

function headProblem(
  { tensors }: WeightsFile,
  head: HeadNames,
  network: Network,
  names: ResNetNames,
): string | null {
  for (const { name, shape } of declared(network)) {
    if (name.startsWith('encoder.')) continue;
    if (!inFile(name, names)) return 'it has a batch norm, which the other widths have not';
    const theirs = head.nameOf(name);
    const tensor = tensors.get(theirs);
    if (!tensor) return `${printable(theirs)} is missing`;
    if (!sameShape(tensor.shape, shape)) return `${printable(theirs)} is ${formatShape(tensor.shape)}`;
  }
  return null;
}
