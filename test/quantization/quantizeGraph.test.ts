import { expect } from 'chai';
import { Graph } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { calibrateRanges } from '../../src/quantization/calibrateRanges.js';
import { quantizableLayers, quantizeGraph } from '../../src/quantization/quantizeGraph.js';
import { activationTypes } from '../../src/quantization/scales.js';
import { cosine } from './cosine.js';
import {
  cpu,
  expectIntegerKernels,
  optimizedOperators,
  outputs,
  randomGraph,
  randomImages,
} from './quantized.js';

const operators = (graph: Graph) => graph.nodes.map(({ op }) => op);

describe('quantizeGraph', function () {
  this.timeout(60_000);

  for (const activations of activationTypes) {
    it(`ResNet-20, ${activations}: ONNX Runtime fuses every node into an integer kernel`, async () => {
      await expectIntegerKernels('resnet20', activations, { QLinearConv: 21, QLinearAdd: 9 });
    });
  }

  it('a head: its matrix products are integer, too, and their outputs float32', async () => {
    const { graph } = randomGraph('resnet20', 0.5, 32, { head: true });
    const images = randomImages(8, 32);
    const ranges = await calibrateRanges(graph, [images], 'minmax', cpu);
    const quantised = quantizeGraph(graph, { activations: 'uint8', ranges });
    expect(await optimizedOperators(quantised)).to.include({ QGemm: 2 });
    const [float, int8] = [await outputs(graph, images), await outputs(quantised, images)];
    expect(cosine(int8['embedding']!, float['embedding']!)).to.be.above(0.995);
  });

  it('layers that stay in float: with weights, biases and Relu as they were, the others integer', async () => {
    const { graph } = randomGraph('resnet20', 0.5);
    const images = randomImages(2, 32);
    const ranges = await calibrateRanges(graph, [images], 'minmax', cpu);
    const [first, second] = quantizableLayers(graph);
    const float = new Set([first!, 'encoder.layer2.0.conv2/Conv']);
    const quantised = quantizeGraph(graph, { activations: 'uint8', ranges, float });
    const counts = await optimizedOperators(quantised);
    expect(counts).to.include({ QLinearConv: 19, Conv: 2, QLinearAdd: 8, Add: 1 });
    for (const [value, fallback] of quantised.defaults) {
      if (!value.name.endsWith('weight')) continue;
      const layer = value.name.replace('.weight', '/Conv');
      expect(value.dtype, value.name).to.equal(float.has(layer) ? 'float32' : 'int8');
      if (float.has(layer)) expect([...graph.defaults.values()]).to.deep.include(fallback);
    }
    // The first one and the sum have a Relu of their own; rounding is that of all others.
    expect(operators(quantised).filter((op) => op === 'Relu')).to.have.length(2);
    expect(second).to.equal('encoder.layer1.0.conv1/Conv');
    const all = new Set(quantizableLayers(graph));
    const none = quantizeGraph(graph, { activations: 'uint8', ranges, float: all });
    expect(operators(none)).to.deep.equal(operators(graph));
  });

  it('numbers: an integer convolution and sum computed by hand', async () => {
    const graph = new Graph('small');
    const b = new Builder(graph);
    const bound = (name: string, shape: number[], ...values: number[]) =>
      graph.input(name, { dtype: 'float32', shape }, { kind: 'inline', values: Float32Array.from(values) });
    const images = graph.input('images', { dtype: 'float32', shape: ['batch', 1, 1, 2] });
    const window = { strides: [1, 1], pads: [0, 0, 0, 0] } as const;
    const weights = [bound('w', [2, 1, 1, 1], 1.27, -0.5), bound('b', [2], 0.3, 0)];
    const conv = b.op('Conv', [images, ...weights], window);
    graph.output('y', b.op('Relu', [conv]));
    const range = (min: number, max: number) => ({ min, max });
    const ranges = new Map([
      ['images', range(-1, 1.55)],
      ['Relu', range(0, 2.55)],
    ]);
    const quantised = quantizeGraph(graph, { activations: 'uint8', ranges });
    const found = await outputs(quantised, {
      dtype: 'float32',
      shape: [1, 1, 1, 2],
      data: Float32Array.of(1.004, -0.5),
    });
    // Images in hundredths: 1 and -0.5. First channel 1.27 x + 0.3, second -0.5 x, in hundredths from 0 up.
    const expected = [1.57, 0, 0, 0.25];
    for (const [i, value] of found['y']!.entries()) expect(value).to.be.closeTo(expected[i]!, 1e-6);
  });
});
