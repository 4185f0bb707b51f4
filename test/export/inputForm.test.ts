import { expect } from 'chai';
import { configSchema } from '../../src/config/schema.js';
import { ImageTransform } from '../../src/data/transform.js';
import { HostGraph } from '../../src/engines/hostGraph.js';
import { withInputForm } from '../../src/export/inputForm.js';
import { Graph } from '../../src/graph/graph.js';
import { encodeModel } from '../../src/onnx/model.js';
import { Builder } from '../../src/ops/builder.js';
import { emitFrozen } from '../../src/programs/emitFrozen.js';
import { calibrateRanges } from '../../src/quantization/calibrateRanges.js';
import { quantizeGraph } from '../../src/quantization/quantizeGraph.js';
import { Random } from '../../src/random.js';
import { portable } from '../../src/targets/portable.js';
import { cosine } from '../quantization/cosine.js';
import { cpu, outputs, randomGraph, randomImages } from '../quantization/quantized.js';

type Form = Parameters<typeof withInputForm>[2];

/** A model that gives out what the preprocessing of a form makes of images, `[n, 3, S, S]`. */
async function preprocessing(imageSize: number, form: Form) {
  const { data } = configSchema.parse({ data: { imageSize } });
  const graph = new Graph('preprocessing');
  const images = graph.input('images', { dtype: 'float32', shape: ['batch', 3, imageSize, imageSize] });
  graph.output('pixels', new Builder(graph).op('Identity', [images]));
  const model = emitFrozen(withInputForm(graph, data, form), portable, {}, form.resize ? 18 : 11);
  const loaded = await HostGraph.open(encodeModel(model), { provider: 'cpu', threads: 1 });
  const transform = new ImageTransform(imageSize, data.mean, data.std);
  return { data, transform, loaded };
}

const sides: readonly (readonly [number, number])[] = [
  ...[31, 32, 33, 36, 37, 38, 41, 47].flatMap((side) => [[32, side], [side, 32], [37, side], [side, 41]] as const), // prettier-ignore
  [29, 31],
  [31, 31],
  [1, 1],
  [1, 9],
  [7, 3],
  [64, 64],
  [100, 75],
  [75, 100],
  [333, 97],
  [97, 501],
  [640, 480],
  [481, 721],
  [1023, 767], // prettier-ignore
];

function noise(random: Random, width: number, height: number) {
  const data = Uint8Array.from({ length: 3 * width * height }, () => random.integer(256));
  return { width, height, channels: 3, data };
}

describe('withInputForm: the preprocessing in the model', () => {
  for (const size of [32, 33, 29, 8]) {
    it(`bytes of any size, S = ${size}: what the evaluation makes of ${sides.length} images`, async () => {
      const form = { input: 'uint8-nhwc', resize: true, batch: null } as const;
      const { loaded, transform } = await preprocessing(size, form);
      const random = new Random(size);
      for (const [width, height] of sides) {
        const image = noise(random, width, height);
        const expected = new Float32Array(3 * size * size);
        transform.evaluation(image, expected, 0);
        const { pixels } = await loaded.run({
          images: { dtype: 'uint8', shape: [1, height, width, 3], data: image.data },
        });
        expect(pixels!.shape).to.deep.equal([1, 3, size, size]);
        const difference = (pixels!.data as Float32Array).map((value, i) => Math.abs(value - expected[i]!));
        expect(Math.max(...difference), `${width} x ${height}`).to.be.below(1e-4);
      }
      await loaded.close();
    });
  }

  it('normalised images of any size, two in a batch: the same', async () => {
    const form = { input: 'float32-nchw', resize: true, batch: null } as const;
    const { loaded, transform, data } = await preprocessing(32, form);
    const random = new Random(1);
    for (const [width, height] of [
      [32, 32],
      [51, 40],
      [40, 77],
    ] as const) {
      // prettier-ignore
      const plane = width * height;
      const images = new Float32Array(6 * plane);
      const expected = new Float32Array(6 * 32 * 32);
      for (const n of [0, 1]) {
        const image = noise(random, width, height);
        transform.evaluation(image, expected, n * 3 * 32 * 32);
        for (const [i, byte] of image.data.entries()) {
          const c = i % 3;
          images[(3 * n + c) * plane + Math.floor(i / 3)] = (byte / 255 - data.mean[c]!) / data.std[c]!;
        }
      }
      const { pixels } = await loaded.run({
        images: { dtype: 'float32', shape: [2, 3, height, width], data: images },
      });
      const difference = (pixels!.data as Float32Array).map((value, i) => Math.abs(value - expected[i]!));
      expect(Math.max(...difference), `${width} x ${height}`).to.be.below(1e-4);
    }
    await loaded.close();
  });

  it('bytes of any size before integer convolutions: what the normalised image gives', async () => {
    const { graph, config } = randomGraph('resnet20', 0.25);
    const ranges = await calibrateRanges(graph, [randomImages(2, 32)], 'minmax', cpu);
    const integers = quantizeGraph(graph, { activations: 'uint8', ranges });
    const form = { input: 'uint8-nhwc', resize: true, batch: null } as const;
    const model = emitFrozen(withInputForm(integers, config.data, form), portable, {}, 18);
    const loaded = await HostGraph.open(encodeModel(model), cpu);
    const image = noise(new Random(3), 45, 39);
    const pixels = new Float32Array(3 * 32 * 32);
    new ImageTransform(32, config.data.mean, config.data.std).evaluation(image, pixels, 0);
    const { features } = await outputs(integers, { dtype: 'float32', shape: [1, 3, 32, 32], data: pixels });
    const found = await loaded.run({ images: { dtype: 'uint8', shape: [1, 39, 45, 3], data: image.data } });
    await loaded.close();
    expect(cosine(found['features']!.data as Float32Array, features!)).to.be.above(0.9999);
  });
});
