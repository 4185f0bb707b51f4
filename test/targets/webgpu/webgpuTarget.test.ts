import { expect } from 'chai';
import { Graph } from '../../../src/graph/graph.js';
import { methodPrograms } from '../../../src/methods/index.js';
import type { OnnxModel } from '../../../src/onnx/model.js';
import { Builder } from '../../../src/ops/builder.js';
import { momentumProgram } from '../../../src/programs/key.js';
import { emit } from '../../../src/targets/emit.js';
import { lower } from '../../../src/targets/lower.js';
import { asPair } from '../../../src/targets/webgpu/float64.js';
import { webgpu } from '../../../src/targets/webgpu/index.js';
import { runGraph } from '../../support/runGraph.js';
import { webGpuConfigs } from './configs.js';

/** What ONNX Runtime 1.29 has WebGPU kernels of for float32, as the verbose logs of its sessions tell. */
const kernels = new Set(
  (
    'Abs Add BatchNormalization Cast Clip Concat Conv ConvTranspose Div Equal Exp Expand Flatten Gather Gemm ' +
    'GlobalAveragePool Greater Identity Log MatMul MaxPool Mul Neg Pad Reciprocal ReduceMax ReduceMean ReduceSum ' +
    'ReduceSumSquare Relu Reshape Sigmoid Slice Softmax Split Sqrt Sub Transpose Where'
  ).split(' '),
);

/** Operators whose kernels take or give bool. */
const ofBool = new Set(['Cast', 'Equal', 'Greater', 'Where']);

/** Names of values of a type that no kernel takes, but for what operators take as parameters. */
function otherTypes({ nodes, initializers, inputs, values, outputs }: OnnxModel): string[] {
  const types = new Map(
    [...inputs, ...values, ...outputs, ...initializers].map((v) => [v.name, v.type.dtype]),
  );
  const parameters: Readonly<Record<string, number>> = { Gather: 0 };
  return nodes.flatMap(({ name, opType, inputs, outputs }) => {
    const isParameter = (i: number) =>
      i > (parameters[opType] ?? 0) && initializers.some((initializer) => initializer.name === inputs[i]);
    const data = inputs.filter((_, i) => !isParameter(i) && !(opType === 'Gather' && i === 1));
    return [...data, ...outputs]
      .filter(
        (value) =>
          value !== '' &&
          types.get(value) !== 'float32' &&
          !(types.get(value) === 'bool' && ofBool.has(opType)),
      )
      .map((value) => `${name}: ${value}`);
  });
}

describe('webgpu target', () => {
  for (const [title, config] of webGpuConfigs()) {
    it(`${title}: operators with WebGPU kernels, of float32, at most seven inputs and outputs`, () => {
      for (const { name, graph } of methodPrograms(config).programs) {
        const weights = { location: '', find: () => ({ offset: 0, length: 0 }) };
        const model = emit(lower(graph, webgpu), { opset: webgpu.opset, version: '', weights });
        const types = new Set(model.nodes.map(({ opType }) => opType));
        expect(
          [...types].filter((type) => !kernels.has(type)),
          name,
        ).to.be.empty;
        for (const { inputs, outputs } of model.nodes) {
          expect(Math.max(inputs.length, outputs.length), name).to.be.lessThanOrEqual(7);
        }
        expect(otherTypes(model), name).to.be.empty;
        expect(model.nodes.filter(({ opType, outputs }) => opType === 'MaxPool' && outputs.length > 1)).to.be
          .empty;
      }
    });
  }

  it('the momentum update takes its number as two of float32, and loses no digit of 1 - momentum', async () => {
    const { graph } = momentumProgram();
    const [query, key] = [
      [1, -3, 1e-3, 700],
      [0.1, 3, 5, -1e-6],
    ];
    for (const momentum of [0, 0.5, 0.99, 0.999, 0.9999, 1 - 1e-9, 1]) {
      const [kept, moved] = [Math.fround(momentum), Math.fround(1 - momentum)];
      const expected = key.map((k, i) =>
        Math.fround(Math.fround(Math.fround(k) * kept) + Math.fround(Math.fround(query[i]!) * moved)),
      );
      const fed = { query, key, momentum: [...asPair(momentum)] };
      const { new_key } = await runGraph(lower(graph, webgpu), fed);
      expect(new_key, `${momentum}`).to.deep.equal(expected);
    }
  });

  it('many parts: split in three levels and joined again, they are the same', async () => {
    const sizes = Array.from({ length: 60 }, (_, i) => 1 + (i % 3));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const graph = new Graph('parts');
    const b = new Builder(graph);
    const x = graph.input('x', { dtype: 'float32', shape: [2, total] });
    const parts = b.node('Split', [x], { axis: 1, sizes });
    const negated = parts.map((part, i) => (i % 2 === 0 ? part : b.op('Neg', [part])));
    graph.output('y', b.op('Concat', negated, { axis: 1 }));
    const values = Array.from({ length: 2 * total }, (_, i) => i + 1);
    const owner = sizes.flatMap((size, i) => Array<number>(size).fill(i));
    const { y } = await runGraph(graph, { x: values }, { target: webgpu });
    expect(y).to.deep.equal(values.map((value, i) => (owner[i % total]! % 2 === 0 ? value : -value)));
  });

  it('float64 that it cannot do without is refused, a graph of float64 stays as it is', () => {
    const graph = new Graph('doubles');
    const b = new Builder(graph);
    const factor = graph.input('factor', { dtype: 'float64', shape: [] });
    const cast = b.op('Cast', [b.op('Mul', [factor, factor])], { to: 'float32' });
    graph.output('y', cast);
    expect(() => lower(graph, webgpu)).to.throw(/^webgpu: Mul computes in float64; accepted: Cast, Sub/);
    graph.output('square', cast.producer!.inputs[0]!);
    expect(lower(graph, webgpu).inputs[0]!.dtype).to.equal('float64');
  });
});
