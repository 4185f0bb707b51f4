import { HostGraph } from '../../src/engines/hostGraph.js';
import { tensorOf } from '../support/tensors.js';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { evaluationBatches } from '../../src/data/evaluationBatches.js';
import { openSource } from '../../src/data/source.js';
import { calibrate } from '../../src/evaluation/calibrate.js';
import { FrozenEncoder } from '../../src/evaluation/features.js';
import { Graph } from '../../src/graph/graph.js';
import { Forward } from '../../src/nn/forward.js';
import { Builder } from '../../src/ops/builder.js';
import { bindWeights } from '../../src/programs/bindWeights.js';
import { emitFrozen } from '../../src/programs/emitFrozen.js';
import { Random } from '../../src/random.js';
import { portable } from '../../src/targets/portable.js';
import { expectClose } from '../support/expectClose.js';
import { makeTinyRun, type TinyRun } from './tinyRun.js';
import { removeFolder } from '../support/removeFolder.js';

describe('calibrate', () => {
  let run: TinyRun;
  before(async () => (run = await makeTinyRun()));
  after(() => removeFolder(dirname(run.folder)));

  async function calibrated(widths: readonly number[], batchSize: number) {
    const { network, config, weights, train } = run;
    return calibrate(network, { ...config, batchSize }, widths, weights, await openSource(train));
  }

  /** The images as the encoder gets them, one after another. */
  async function inputs(): Promise<Float32Array[]> {
    const { imageSize, mean, std } = run.config.data;
    const images: Float32Array[] = [];
    const options = { imageSize, mean, std, batchSize: 1 };
    for await (const batch of evaluationBatches(await openSource(run.train), options))
      images.push(batch.images);
    return images;
  }

  /** Responses of the first convolution's channel 0 to an image, all positions. */
  function stem(image: Float32Array): number[] {
    const weight = run.weights.get('encoder.conv1.weight')!.data as Float32Array;
    const size = run.config.data.imageSize;
    return Array.from({ length: size * size }, (_, position) => {
      const [y, x] = [Math.floor(position / size), position % size];
      let sum = 0;
      for (let i = 0; i < 27; i++) {
        const [channel, row, column] = [Math.floor(i / 9), y + (Math.floor(i / 3) % 3) - 1, x + (i % 3) - 1];
        if (row < 0 || row >= size || column < 0 || column >= size) continue;
        sum += weight[i]! * image[(channel * size + row) * size + column]!;
      }
      return sum;
    });
  }

  it('stem, 24 images in batches of 10: averages of two batches, variance unbiased; 4 images are left out', async () => {
    const images = await inputs();
    const order = [...new Random(0x63616c69, run.config.seed).permutation(images.length)];
    const batches = [order.slice(0, 10), order.slice(10, 20)].map((batch) => {
      const values = batch.flatMap((index) => stem(images[index]!));
      const mean = values.reduce((a, b) => a + b) / values.length;
      const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1);
      return { mean, variance };
    });
    const average = (key: 'mean' | 'variance') => (batches[0]![key] + batches[1]![key]) / 2;
    const statistics = await calibrated([0.5], 10);
    const found = (suffix: string) => statistics.get(`encoder.bn1.w0.50.${suffix}`)!.data[0] as number;
    expectClose([found('running_mean')], [average('mean')], 1e-5);
    expectClose([found('running_var')], [average('variance')], 1e-5);
  });

  it('two widths: every running statistic of both, and of no other', async () => {
    const statistics = await calibrated([1, 0.5], 8);
    const declared = run.network.declarations.statistics.map(({ name }) => name);
    expect([...statistics.keys()].sort()).to.deep.equal(declared.sort());
  });

  it('one batch of all images: features in eval mode are those in training mode, up to n / (n - 1)', async () => {
    const { network, config, weights } = run;
    const images = await inputs();
    const graph = new Graph('train');
    const shape = [images.length, 3, 16, 16];
    const input = graph.input('images', { dtype: 'float32', shape });
    const forward = new Forward(new Builder(graph), 1, 'train');
    graph.output('features', network.encoder.forward(forward, input));
    const flat = images.flatMap((image) => [...image]);
    const model = emitFrozen(bindWeights(graph, weights), portable);
    const training = await HostGraph.open(model, config.runtime);
    const outputs = await training.run({ images: tensorOf('float32', flat, shape) });
    const expected = outputs['features']!.data as Float32Array;
    await training.close();

    const statistics = await calibrated([1], images.length);
    const encoder = await FrozenEncoder.open(network, config, 1, new Map([...weights, ...statistics]));
    const found = await encoder.features(Float32Array.from(flat), images.length);
    await encoder.close();
    expectClose([...found], [...expected], 0.02);
  });
});
