import { expect } from 'chai';
import { HostGraph } from '../../src/engines/hostGraph.js';
import { Graph } from '../../src/graph/graph.js';
import { encodeModel } from '../../src/onnx/model.js';
import { Builder } from '../../src/ops/builder.js';
import { emitFrozen } from '../../src/programs/emitFrozen.js';
import { float16Graph } from '../../src/quantization/float16Graph.js';
import { portable } from '../../src/targets/portable.js';
import { noWebGpu, webGpuEngine } from '../support/webGpu.js';
import { cosine } from './cosine.js';
import { outputs, randomGraph, randomImages } from './quantized.js';

describe('float16Graph', () => {
  for (const [title, options] of [
    ['features', {}],
    ['with a head', { head: true }],
  ] as const) {
    it(`ResNet-20, ${title}: half the bytes, float32 in and out, weights and products in float16`, async () => {
      const { graph } = randomGraph('resnet20', 0.5, 32, options);
      const half = float16Graph(graph);
      const models = [graph, half].map((each) => emitFrozen(each, portable));
      const [before, after] = models.map((model) => encodeModel(model).length);
      expect(after! / before!).to.be.below(0.54);
      for (const model of models) {
        expect(model.inputs.map(({ type }) => type.dtype)).to.deep.equal(['float32']);
        expect(new Set(model.outputs.map(({ type }) => type.dtype))).to.deep.equal(new Set(['float32']));
      }
      const names = (nodes: readonly { name: string; op: string }[]) =>
        nodes.flatMap(({ name, op }) => (op === 'Cast' ? [] : [name]));
      expect(names(half.nodes)).to.deep.equal(names(graph.nodes));
      for (const { op, outputs } of half.nodes) {
        if (['Conv', 'Gemm', 'MaxPool', 'Add'].includes(op)) expect(outputs[0]!.dtype).to.equal('float16');
      }
      const images = randomImages(4, 32);
      const results = [];
      for (const model of models) {
        const loaded = await HostGraph.open(model, { provider: 'cpu', threads: 1 });
        results.push(await loaded.run({ images }));
        await loaded.close();
      }
      for (const name of graph.outputs.keys()) {
        const [float, halved] = results.map((result) => result[name]!.data as Float32Array);
        expect(cosine(halved!, float!), name).to.be.above(0.99999);
        expect(halved, name).not.to.deep.equal(float);
      }
    });
  }

  it('ResNet-20 on a WebGPU device: features as of float32', async function () {
    this.timeout(120_000);
    const skip = (reason: string) => {
      this.test!.title += ` (not here: ${reason})`;
      this.skip();
    };
    const reason = await noWebGpu();
    if (reason !== null) skip(reason);
    const { graph } = randomGraph('resnet20', 0.25);
    const images = randomImages(2, 32);
    const engine = await webGpuEngine();
    const float = (await outputs(graph, images))['features']!;
    const results = await outputs(float16Graph(graph), images, engine).catch((error: Error) => {
      if (!/requires f16 but the device does not support it/.test(error.message)) throw error;
      return skip('the WebGPU device has no float16');
    });
    const halved = results['features']!;
    expect(cosine(halved, float)).to.be.above(0.9999);
    expect(halved).not.to.deep.equal(float);
  });

  it('a weight beyond float16: one line with its name', () => {
    const graph = new Graph('large');
    const x = graph.input('x', { dtype: 'float32', shape: [1, 1, 2, 2] });
    const values = Float32Array.of(1e5);
    const w = graph.input('w', { dtype: 'float32', shape: [1, 1, 1, 1] }, { kind: 'inline', values });
    graph.output('y', new Builder(graph).op('Conv', [x, w], { strides: [1, 1], pads: [0, 0, 0, 0] }));
    expect(() => float16Graph(graph)).to.throw(/^w has the weight 100000, which is no float16; accepted: /);
  });
});
