import { expect } from 'chai';
import { Graph, type TensorType } from '../../src/graph/graph.js';
import { decodeModel, encodeModel } from '../../src/onnx/model.js';
import { Builder } from '../../src/ops/builder.js';
import { emit, type EmitOptions } from '../../src/targets/emit.js';
import { lower } from '../../src/targets/lower.js';
import { portable } from '../../src/targets/portable.js';
import { expectClose } from '../support/expectClose.js';
import { modelBytes, runGraph } from '../support/runGraph.js';
import { trainingGraph } from '../support/trainingGraph.js';

const options: EmitOptions = { opset: 17, version: '0.0.0' };
const pair: TensorType = { dtype: 'float32', shape: [2] };
const opsets = [17, 18, 19, 20, 21];

function setup() {
  const graph = new Graph('test');
  return { graph, b: new Builder(graph), x: graph.input('x', pair) };
}

describe('emission of a training step', () => {
  it('two builds of one graph: the same bytes', () => {
    expect(modelBytes(trainingGraph().graph)).to.deep.equal(modelBytes(trainingGraph().graph));
  });

  it('one lowered graph emitted for another opset in between: the same bytes', () => {
    const lowered = lower(trainingGraph().graph, portable);
    const first = encodeModel(emit(lowered, options));
    emit(lowered, { ...options, opset: 21 });
    expect(encodeModel(emit(lowered, options))).to.deep.equal(first);
  });

  it('portable: every node is of the standard domain, and so is the only operator set', () => {
    const model = decodeModel(modelBytes(trainingGraph().graph));
    expect(model.opsets).to.deep.equal({ '': 17 });
    expect(new Set(model.nodes.map((node) => node.domain))).to.deep.equal(new Set(['']));
  });

  for (const opset of opsets.slice(1)) {
    it(`opset ${opset}: the results of opset 17`, async () => {
      const { graph, feeds } = trainingGraph();
      const expected = await runGraph(graph, feeds, { opset: 17 });
      const actual = await runGraph(graph, feeds, { opset });
      expect(Object.keys(actual)).to.deep.equal(Object.keys(expected));
      for (const [name, values] of Object.entries(expected)) expectClose(actual[name]!, values, 1e-6);
    });
  }

  it('ReduceMean: axes are an attribute in opset 17 and an input in opset 18', () => {
    const { graph, b, x } = setup();
    graph.output('y', b.op('ReduceMean', [x], { axes: [0] }));
    const [at17, at18] = [17, 18].map((opset) => emit(graph, { ...options, opset }));
    expect(at17!.nodes[0]).to.deep.include({ inputs: ['x'], attributes: { keepdims: 1, axes: [0] } });
    expect(at18!.nodes[0]!.attributes).to.deep.equal({ keepdims: 1 });
    const axes = at18!.initializers.find(({ name }) => name === at18!.nodes[0]!.inputs[1]);
    expect(axes?.data).to.deep.equal({ kind: 'inline', values: BigInt64Array.of(0n) });
  });

  it('an opset outside 11 to 21: error names it and what is accepted', () => {
    expect(() => emit(setup().graph, { ...options, opset: 10 })).to.throw(/opset 10 .* accepted: 11 to 21/);
  });
});

describe('emission of outputs', () => {
  const feeds = { x: [1, 2] };

  for (const opset of [17, 21]) {
    it(`opset ${opset}: an input, a constant and a value under two names`, async () => {
      const { graph, b, x } = setup();
      const y = b.op('Exp', [x]);
      graph.output('input', x);
      graph.output('number', b.scalar(3));
      graph.output('first', y);
      graph.output('second', y);
      const results = await runGraph(graph, feeds, { opset });
      expect(Object.keys(results)).to.deep.equal(['input', 'number', 'first', 'second']);
      expect(results['input']).to.deep.equal([1, 2]);
      expect(results['number']).to.deep.equal([3]);
      expectClose(results['first']!, [Math.E, Math.E ** 2], 1e-6);
      expect(results['second']).to.deep.equal(results['first']);
    });
  }

  it('an intermediate value that later nodes read', async () => {
    const { graph, b, x } = setup();
    const h = b.op('Mul', [x, x]);
    graph.output('h', h);
    graph.output('y', b.op('Neg', [h]));
    expect(await runGraph(graph, feeds)).to.deep.equal({ h: [1, 4], y: [-1, -4] });
  });

  it('a second output of a node while nobody reads the first', async () => {
    const graph = new Graph('test');
    const b = new Builder(graph);
    const x = graph.input('x', { dtype: 'float32', shape: [1, 1, 1, 3] });
    const pool = { kernelShape: [1, 3], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
    graph.output('indices', b.node('MaxPool', [x], pool)[1]!);
    expect(await runGraph(graph, { x: [1, 3, 2] })).to.deep.equal({ indices: [1] });
  });

  it('a last output of a node that nobody reads is left out', () => {
    const graph = new Graph('test');
    const b = new Builder(graph);
    const x = graph.input('x', { dtype: 'float32', shape: [1, 1, 1, 3] });
    const pool = { kernelShape: [1, 3], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
    graph.output('y', b.op('MaxPool', [x], pool));
    expect(emit(graph, options).nodes[0]!.outputs).to.deep.equal(['y']);
  });
});

describe('emission of initializers', () => {
  it('equal axes and shapes are one initializer', () => {
    const { graph, b, x } = setup();
    const shape = [1, 2];
    graph.output('y', b.op('Add', [b.reshape(x, shape), b.reshape(b.op('Exp', [x]), shape)]));
    expect(emit(graph, options).initializers.map(({ name }) => name)).to.deep.equal(['int64[2](1,2)']);
  });

  it('defaults of inputs: inline values, and places in the weights file', () => {
    const graph = new Graph('test');
    const b = new Builder(graph);
    const scale = graph.input('scale', pair, { kind: 'inline', values: Float32Array.of(1, 2) });
    const weight = graph.input('weight', pair, { kind: 'weights', tensor: 'conv1.weight' });
    graph.output('y', b.op('Mul', [scale, weight]));
    const find = (tensor: string) => {
      expect(tensor).to.equal('conv1.weight');
      return { offset: 64, length: 8 };
    };
    const model = emit(lower(graph, portable), {
      ...options,
      weights: { location: 'weights.safetensors', find },
    });
    expect(model.inputs.map(({ name }) => name)).to.deep.equal(['scale', 'weight']);
    expect(model.initializers).to.deep.equal([
      { name: 'scale', type: pair, data: { kind: 'inline', values: Float32Array.of(1, 2) } },
      {
        name: 'weight',
        type: pair,
        data: { kind: 'external', location: 'weights.safetensors', offset: 64, length: 8 },
      },
    ]);
    expect(() => emit(graph, options)).to.throw(/defaults in a weights file, but none was given/);
  });

  it('a composite operator that was not lowered: error names the node', () => {
    const { graph, b, x } = setup();
    graph.output('y', b.op('ReluGrad', [x, x]));
    expect(() => emit(graph, options)).to.throw(/ReluGrad is a composite operator, lower the graph/);
  });
});
