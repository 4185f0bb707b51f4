import { HostGraph } from '../../src/engines/hostGraph.js';
import { numbers, tensorOf } from '../support/tensors.js';
import { expect } from 'chai';
import { Graph } from '../../src/graph/graph.js';
import { repeated, repetition } from '../../src/onnx/repeated.js';
import { Builder } from '../../src/ops/builder.js';
import { emit } from '../../src/targets/emit.js';

/** y = rate^2 x - x^2 and its negative: a node that depends on the scalar alone, and some on both. */
function model() {
  const graph = new Graph('step');
  const b = new Builder(graph);
  const x = graph.input('x', { dtype: 'float32', shape: ['n'] });
  const rate = graph.input('rate', { dtype: 'float32', shape: [] });
  const y = b.op('Sub', [b.op('Mul', [x, b.op('Mul', [rate, rate])]), b.op('Mul', [x, x])]);
  graph.output('y', y);
  graph.output('negative', b.op('Neg', [y]));
  return emit(graph, { opset: 17, version: '' });
}

const vector = (...values: number[]) => tensorOf('float32', values);

describe('onnx/repeated', () => {
  it('three vectors of different lengths, one of them empty, and one scalar', async () => {
    const graph = await HostGraph.open(repeated(model(), 3), { provider: 'cpu', threads: 1 });
    const outputs = await graph.run({
      [repetition('x', 0)]: vector(1, 2),
      [repetition('x', 1)]: vector(),
      [repetition('x', 2)]: vector(3),
      rate: tensorOf('float32', [2], []),
    });
    await graph.close();
    const found = Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => [name, numbers(tensor)]),
    );
    expect(found).to.deep.equal({
      [repetition('y', 0)]: [3, 4],
      [repetition('y', 1)]: [],
      [repetition('y', 2)]: [3],
      [repetition('negative', 0)]: [-3, -4],
      [repetition('negative', 1)]: [],
      [repetition('negative', 2)]: [-3],
    });
  });

  it('what depends on no vector is there once, under its own name', () => {
    const { nodes, inputs } = repeated(model(), 4);
    expect(inputs.filter(({ name }) => name === 'rate')).to.have.length(1);
    const squares = nodes.filter(({ inputs }) => inputs.every((name) => name === 'rate'));
    expect(squares.map(({ name }) => name)).to.deep.equal(['Mul']);
    expect(nodes).to.have.length(1 + 4 * 4);
  });

  it('every repetition has a length of its own', () => {
    const { inputs } = repeated(model(), 2);
    expect(inputs.map(({ type }) => type.shape)).to.deep.equal([
      [],
      [repetition('n', 0)],
      [repetition('n', 1)],
    ]);
  });
});
