import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadConfig } from '../../src/config/load.js';
import type { Config, EncoderName } from '../../src/config/schema.js';
import { ortLibrary } from '../../src/engines/ortLibrary.js';
import { floats, HostGraph, type EngineSource } from '../../src/engines/hostGraph.js';
import { foldBatchNorm } from '../../src/export/foldBatchNorm.js';
import { inferenceGraph } from '../../src/export/inferenceGraph.js';
import type { Graph } from '../../src/graph/graph.js';
import { networkOf } from '../../src/methods/index.js';
import { decodeModel, encodeModel, elementCount } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { bindWeights } from '../../src/programs/bindWeights.js';
import { emitFrozen } from '../../src/programs/emitFrozen.js';
import { initialWeights } from '../../src/programs/initialWeights.js';
import { calibrateRanges } from '../../src/quantization/calibrateRanges.js';
import { quantizeGraph } from '../../src/quantization/quantizeGraph.js';
import type { ActivationType } from '../../src/quantization/scales.js';
import { Random } from '../../src/random.js';
import { portable } from '../../src/targets/portable.js';
import { cosine } from './cosine.js';

const presets = {
  resnet20: 'cifar10-resnet20',
  resnet18: 'imagenet-resnet50',
  resnet50: 'imagenet-resnet50',
} as const;

/** The inference graph of an encoder at random weights, every residual branch contributing. */
export function randomGraph(
  name: keyof typeof presets & EncoderName,
  width: number,
  imageSize = 32,
  options: Parameters<typeof inferenceGraph>[3] = {},
): { graph: Graph; config: Config } {
  const config = loadConfig({
    preset: presets[name],
    set: [`encoder.name=${name}`, `data.imageSize=${imageSize}`],
  });
  const network = networkOf(config);
  const random = new Random(5);
  const weights = new Map(
    [...initialWeights(network.declarations, 1)].map(([key, tensor]) => {
      if (!/gamma|beta|mean|var/.test(key)) return [key, tensor];
      const positive = /gamma|var/.test(key);
      const data = (tensor.data as Float32Array).map(() => 0.3 * random.normal());
      return [key, { ...tensor, data: positive ? data.map((x) => 0.5 + Math.abs(x)) : data }];
    }),
  );
  return {
    graph: foldBatchNorm(bindWeights(inferenceGraph(network, config, width, options), weights)),
    config,
  };
}

/** Normal noise as images `[n, 3, S, S]`. */
export function randomImages(count: number, imageSize: number, seed = 7): TensorData {
  const random = new Random(seed);
  const shape = [count, 3, imageSize, imageSize];
  return floats(
    Float32Array.from({ length: elementCount(shape) }, () => random.normal()),
    shape,
  );
}

export const cpu = { provider: 'cpu', threads: 1 } as const;

/** What a graph with bound weights makes of images. */
export async function outputs(
  graph: Graph,
  images: TensorData,
  on: EngineSource = cpu,
): Promise<Record<string, Float32Array>> {
  const model = await HostGraph.open(emitFrozen(graph, portable), on);
  try {
    const results = Object.entries(await model.run({ images }));
    return Object.fromEntries(results.map(([name, { data }]) => [name, data as Float32Array]));
  } finally {
    await model.close();
  }
}

/** By default ONNX Runtime makes int8 activations uint8 on x64, but not those that several nodes read. */
const int8Allowed = { 'session.qdqisint8allowed': '1' };

/** Quantises an encoder; ONNX Runtime is to have these nodes for it and none in float, features being about the same. */
export async function expectIntegerKernels(
  name: Parameters<typeof randomGraph>[0],
  activations: ActivationType,
  kernels: Readonly<Record<string, number>>,
): Promise<void> {
  const { graph } = randomGraph(name, 0.25);
  const images = randomImages(2, 32);
  const ranges = await calibrateRanges(graph, [images], 'minmax', cpu);
  const quantised = quantizeGraph(graph, { activations, ranges });
  expect(await optimizedOperators(quantised, int8Allowed)).to.deep.equal({
    ...kernels,
    QLinearGlobalAveragePool: 1,
    // Images in, features out; the integer kernels have the channels last.
    QuantizeLinear: 1,
    Transpose: 2,
    DequantizeLinear: 1,
    Flatten: 1,
  });
  const [float, int8] = [await outputs(graph, images), await outputs(quantised, images)];
  expect(cosine(int8['features']!, float['features']!)).to.be.above(0.999);
}

/** How often each operator is in what ONNX Runtime makes of a graph. */
export async function optimizedOperators(
  graph: Graph,
  settings: Readonly<Record<string, string>> = {},
): Promise<Record<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), 'slimclr-'));
  try {
    const path = join(folder, 'optimized.onnx');
    const bytes = encodeModel(emitFrozen(graph, portable));
    const { api, environment } = ortLibrary();
    const options = api.createSessionOptions();
    api.setOptimizedModelFilePath(options, path);
    for (const entry of Object.entries(settings)) api.addSessionConfigEntry(options, ...entry);
    // It warns that the file is for this machine only.
    api.setSessionLogSeverityLevel(options, 3);
    api.releaseSession(await api.createSessionFromArray(environment, bytes, bytes.length, options));
    api.releaseSessionOptions(options);
    const counts: Record<string, number> = {};
    for (const { opType } of decodeModel(await readFile(path)).nodes) {
      counts[opType] = (counts[opType] ?? 0) + 1;
    }
    return counts;
  } finally {
    await rm(folder, { recursive: true });
  }
}
