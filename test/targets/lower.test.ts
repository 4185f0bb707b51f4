import { expect } from 'chai';
import { Graph, type TensorType } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { emit } from '../../src/targets/emit.js';
import { lower } from '../../src/targets/lower.js';
import { portable } from '../../src/targets/portable.js';
import type { Target } from '../../src/targets/target.js';
import { runGraph } from '../support/runGraph.js';
import { trainingGraph } from '../support/trainingGraph.js';

const pair: TensorType = { dtype: 'float32', shape: [2] };

function setup() {
  const graph = new Graph('test');
  return { graph, b: new Builder(graph), x: graph.input('x', pair) };
}

describe('lower', () => {
  it('leaves the graph it is given alone', () => {
    const { graph } = trainingGraph();
    const before = graph.nodes.map((node) => node.name);
    lower(graph, portable);
    expect(graph.nodes.map((node) => node.name)).to.deep.equal(before);
  });

  it('keeps inputs, defaults, outputs and the names of standard nodes', () => {
    const { graph, b, x } = setup();
    const scale = graph.input('scale', pair, { kind: 'inline', values: Float32Array.of(1, 2) });
    const y = b.scope('layer', () => b.op('Mul', [x, scale]));
    graph.output('y', y);
    const lowered = lower(graph, portable);
    expect(lowered.inputs.map(({ name, type }) => [name, type])).to.deep.equal([
      ['x', pair],
      ['scale', pair],
    ]);
    expect(lowered.defaults.get(lowered.inputs[1]!)).to.deep.equal(graph.defaults.get(scale));
    expect([...lowered.outputs.keys()]).to.deep.equal(['y']);
    expect(lowered.nodes.map(({ name }) => name)).to.deep.equal(['layer/Mul']);
  });

  it('names what a composite becomes after it, and drops what nobody reads', () => {
    const { graph, b } = setup();
    const x = graph.input('rows', { dtype: 'float32', shape: [2, 3] });
    b.op('Exp', [x]);
    graph.output(
      'norm',
      b.scope('head', () => b.node('L2Normalize', [x])[1]!),
    );
    expect(lower(graph, portable).nodes.map(({ name }) => name)).to.deep.equal([
      'head/L2Normalize/ReduceSumSquare',
      'head/L2Normalize/Sqrt',
      'head/L2Normalize/Clip',
    ]);
  });

  it('portable leaves no composite in a training step', () => {
    expect(lower(trainingGraph().graph, portable).nodes.every(({ domain }) => domain === '')).to.equal(true);
  });

  it("a target's rule comes before the portable one, for standard operators too", async () => {
    const target: Target = {
      name: 'test',
      opset: 17,
      optimization: 'all',
      rules: {
        ReluGrad: (b, [dy, y]) => [b.op('Mul', [dy!, b.op('Sign', [y!])])],
        Neg: (b, [x]) => [b.op('Sub', [b.scalar(0), x!])],
      },
    };
    const { graph, b, x } = setup();
    graph.output('y', b.op('Neg', [b.op('ReluGrad', [x, x])]));
    expect(lower(graph, target).nodes.map(({ op }) => op)).to.deep.equal(['Sign', 'Mul', 'Sub']);
    expect(await runGraph(graph, { x: [0, 3] }, { target })).to.deep.equal({ y: [0, -3] });
  });

  it('a raw node of a runtime: emitted in its domain with its attributes', () => {
    const target: Target = {
      name: 'test',
      opset: 17,
      optimization: 'all',
      rules: {
        Sigmoid: (b, [x], _attributes, types) =>
          b.graph.add('QuickGelu', 'com.microsoft', [x!], types, { alpha: { float: 1.5 } }).outputs,
      },
    };
    const { graph, b, x } = setup();
    graph.output('y', b.op('Sigmoid', [x]));
    const model = emit(lower(graph, target), { opset: 17, version: '0.0.0' });
    expect(model.opsets).to.deep.equal({ '': 17, 'com.microsoft': 1 });
    expect(model.nodes).to.deep.equal([
      {
        name: 'Sigmoid/QuickGelu',
        opType: 'QuickGelu',
        domain: 'com.microsoft',
        inputs: ['x'],
        outputs: ['y'],
        attributes: { alpha: { float: 1.5 } },
      },
    ]);
  });

  it('a rule that changes the type of an output: error names target, node and types', () => {
    const target: Target = {
      name: 'test',
      opset: 17,
      optimization: 'all',
      rules: { Exp: (b, [x]) => [b.op('ReduceSum', [x!])] },
    };
    const { graph, b, x } = setup();
    graph.output('y', b.op('Exp', [x]));
    expect(() => lower(graph, target)).to.throw(
      'test: Exp output 0 is lowered to float32[1], not float32[2]',
    );
  });

  it('a rule that leaves out an output somebody reads: error names the value', () => {
    const target: Target = { name: 'test', opset: 17, optimization: 'all', rules: { Exp: () => [null] } };
    const { graph, b, x } = setup();
    graph.output('y', b.op('Exp', [x]));
    expect(() => lower(graph, target)).to.throw('test: Exp is read before it is defined');
  });
});
