import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.js';
import { exportModel, type PrecisionStage } from '../../src/export/exportModel.js';
import { modelFile, plainForm, type ExportForm, type Precision } from '../../src/export/form.js';
import { networkOf } from '../../src/methods/index.js';
import type { Declarations } from '../../src/nn/parameter.js';
import { initialWeights } from '../../src/programs/initialWeights.js';
import { calibrateRanges } from '../../src/quantization/calibrateRanges.js';
import { float16Graph } from '../../src/quantization/float16Graph.js';
import { quantizeGraph } from '../../src/quantization/quantizeGraph.js';
import { Random } from '../../src/random.js';
import { normalImages } from './subject.js';

/** First word of the streams that the statistics of batch norm are drawn from. */
const statisticsStream = 0x73746174;
/** Of the stream that images to calibrate on are drawn from. */
const calibrationStream = 0x63616c69;
const calibrationImages = 32;

/** Models that differ in what runtimes trip over. */
const models: readonly (readonly [preset: string, width: number, form: Partial<ExportForm>])[] = [
  ['cifar10-resnet20', 1, {}],
  ['cifar10-resnet20', 0.25, {}],
  ['cifar10-resnet20', 1, { head: true }],
  ['cifar10-resnet18', 0.5, {}],
  ['imagenet-resnet50', 0.25, { size: 224 }],
  ['imagenet-resnet50', 0.25, { size: 64, outputs: ['layer2', 'layer3', 'layer4'] }],
  ['cifar10-resnet20', 0.5, { batch: 1 }],
  ['cifar10-resnet20', 0.5, { input: 'uint8-nhwc' }],
  ['cifar10-resnet20', 0.5, { input: 'uint8-nhwc', resize: true }],
  ['cifar10-resnet20', 0.5, { precision: 'float16' }],
  ['cifar10-resnet20', 0.5, { precision: 'int8' }],
];

const stages: Record<Precision, PrecisionStage> = {
  float32: (graph) => graph,
  float16: float16Graph,
  int8: async (graph, { config }) => {
    const { imageSize: size } = config.data;
    const images = normalImages([calibrationImages, 3, size, size], new Random(calibrationStream));
    const ranges = await calibrateRanges(graph, [images], 'minmax', config.runtime);
    return quantizeGraph(graph, { activations: 'uint8', ranges });
  },
};

/** Writes models with random weights, the same ones every time, into a folder; gives their paths. */
export async function exportFamily(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for (const [preset, width, changes] of models) {
    const form: ExportForm = { ...plainForm, ...changes };
    const size = form.size === null ? [] : [`data.imageSize=${form.size}`];
    const config = loadConfig({ preset, set: size });
    const network = networkOf(config);
    const weights = variedWeights(network.declarations);
    const subject = {
      network,
      config,
      weights,
      checkpoint: 'none',
      form,
      toPrecision: stages[form.precision],
    };
    const { bytes } = await exportModel(subject, width);
    const path = join(folder, modelFile(config.encoder.name, width, form));
    await writeFile(path, bytes);
    paths.push(path);
  }
  return paths;
}

/** Fresh weights in whose batch norms every channel differs, as after training. */
function variedWeights(declarations: Declarations) {
  const weights = initialWeights(declarations, 0);
  for (const [index, { name }] of declarations.statistics.entries()) {
    const { data } = weights.get(name)!;
    const random = new Random(statisticsStream, index);
    const isVariance = /var/.test(name);
    for (let i = 0; i < data.length; i++)
      data[i] = isVariance ? random.uniform(0.5, 1.5) : 0.2 * random.normal();
  }
  return weights;
}
