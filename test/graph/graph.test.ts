import { expect } from 'chai';
import { Graph, type TensorType } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';

const pair: TensorType = { dtype: 'float32', shape: [2] };

function setup() {
  const graph = new Graph('test');
  return { graph, b: new Builder(graph), x: graph.input('x', pair) };
}

describe('Graph', () => {
  it('names nodes after their scope and operator, numbering repeated names', () => {
    const { graph, b, x } = setup();
    b.op('Exp', [x]);
    b.scope('layer1', () => {
      b.op('Exp', [x]);
      b.scope('0', () => b.op('Exp', [x]));
      b.scope('', () => b.op('Exp', [x]));
    });
    b.op('Exp', [x]);
    const names = ['Exp', 'layer1/Exp', 'layer1.0/Exp', 'layer1/Exp_1', 'Exp_1'];
    expect(graph.nodes.map((node) => node.name)).to.deep.equal(names);
    expect(graph.nodes.map((node) => node.outputs[0]!.name)).to.deep.equal(names);
  });

  it('names several outputs of a node by number', () => {
    const { b, graph } = setup();
    const image = graph.input('image', { dtype: 'float32', shape: [1, 1, 2, 2] });
    const outputs = b.node('MaxPool', [image], { kernelShape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] });
    expect(outputs.map((value) => value.name)).to.deep.equal(['MaxPool.0', 'MaxPool.1']);
  });

  it('a node whose name an input has gets another one', () => {
    const { graph, b } = setup();
    const exp = graph.input('Exp', pair);
    const first = graph.input('Exp_1', pair);
    expect(b.op('Exp', [exp]).name).to.equal('Exp_2');
    expect(b.op('Exp', [first]).name).to.equal('Exp_3');
  });

  it('leaves a scope whose body throws', () => {
    const { b, x } = setup();
    expect(() =>
      b.scope('broken', () => {
        throw new Error('body');
      }),
    ).to.throw('body');
    expect(b.op('Exp', [x]).name).to.equal('Exp');
  });

  it('an input or an output declared twice: error names it', () => {
    const { graph, x } = setup();
    expect(() => graph.input('x', pair)).to.throw('graph test: the name "x" is taken');
    graph.output('y', x);
    expect(() => graph.output('y', x)).to.throw('graph test: output "y" is declared twice');
  });

  it('equal constants are one value; another dtype, shape or bit pattern is another', () => {
    const { graph } = setup();
    const one = (values: Float32Array | Int32Array, shape: number[], dtype: 'float32' | 'int32') =>
      graph.constant(values, shape, dtype);
    const first = one(Float32Array.of(0, 1), [2], 'float32');
    // A view into a larger buffer has the same content.
    expect(one(Float32Array.of(9, 0, 1).subarray(1), [2], 'float32')).to.equal(first);
    expect(one(Float32Array.of(0, 1), [1, 2], 'float32')).to.not.equal(first);
    expect(one(Float32Array.of(-0, 1), [2], 'float32')).to.not.equal(first);
    expect(one(new Int32Array(Float32Array.of(0, 1).buffer), [2], 'int32')).to.not.equal(first);
    expect(graph.constants.size).to.equal(4);
  });

  it('prune keeps what outputs depend on, and every input', () => {
    const { graph, b, x } = setup();
    graph.input('unused', pair);
    const kept = b.op('Mul', [x, b.scalar(2)]);
    const alsoKept = b.op('Exp', [kept]);
    b.op('Add', [kept, b.scalar(3)]);
    graph.output('y', alsoKept);
    graph.prune();
    expect(graph.nodes.map((node) => node.name)).to.deep.equal(['Mul', 'Exp']);
    expect([...graph.constants.values()].map((values) => values[0])).to.deep.equal([2]);
    expect(graph.inputs.map((input) => input.name)).to.deep.equal(['x', 'unused']);
  });

  it('a constant that prune removed can be added again', () => {
    const { graph, b, x } = setup();
    b.op('Mul', [x, b.scalar(2)]);
    graph.prune();
    const again = b.scalar(2);
    expect(graph.constants.has(again)).to.equal(true);
  });

  it('dims of a symbolic shape: error names the value and the dimension', () => {
    const graph = new Graph('test');
    const x = graph.input('x', { dtype: 'float32', shape: ['batch', 3] });
    expect(() => x.dims).to.throw('x: dimension "batch" is symbolic');
  });
});
