import { expect } from 'chai';
import { Graph, Value, type Node, type TensorType } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { verify } from '../../src/ops/verify.js';

const pair: TensorType = { dtype: 'float32', shape: [2] };

/** y = sigmoid(exp(x)), an intact graph to break. */
function setup() {
  const graph = new Graph('test');
  const b = new Builder(graph);
  const x = graph.input('x', pair);
  const h = b.op('Exp', [x]);
  const y = b.op('Sigmoid', [h]);
  graph.output('y', y);
  return { graph, b, x, h, y };
}

/** A node as no Builder makes it, its one output of the given name and type. */
function rawNode(op: string, inputs: Value[], name: string, type: TensorType): Node {
  const outputs: Value[] = [];
  const node: Node = { name, op, domain: '', inputs, outputs, attributes: {} };
  outputs.push(new Value(name, type, node));
  return node;
}

describe('verify', () => {
  it('accepts an intact graph', () => verify(setup().graph));

  it('two values of one name', () => {
    const { graph, x } = setup();
    graph.nodes.push(rawNode('Exp', [x], 'Sigmoid', pair));
    expect(() => verify(graph)).to.throw('two values are named "Sigmoid"');
  });

  it('nodes out of order', () => {
    const { graph } = setup();
    graph.nodes.reverse();
    expect(() => verify(graph)).to.throw('Sigmoid reads Exp before it is defined');
  });

  it('a cycle', () => {
    const { graph, y } = setup();
    const exp = graph.nodes[0]!;
    graph.nodes[0] = { ...exp, inputs: [y] };
    expect(() => verify(graph)).to.throw('Exp reads Sigmoid before it is defined');
  });

  it('a value of another graph', () => {
    const { graph, b } = setup();
    b.op('Exp', [setup().x]);
    expect(() => verify(graph)).to.throw('Exp_1 reads x before it is defined');
  });

  for (const [what, type] of Object.entries<TensorType>({
    shape: { dtype: 'float32', shape: [3] },
    rank: { dtype: 'float32', shape: [2, 1] },
    dtype: { dtype: 'float64', shape: [2] },
  })) {
    it(`an output of a ${what} that its operator does not infer`, () => {
      const { graph, x } = setup();
      graph.nodes.push(rawNode('Exp', [x], 'wrong', type));
      expect(() => verify(graph)).to.throw('wrong does not have the type that Exp infers');
    });
  }

  it('inputs that the operator refuses: the node is named', () => {
    const { graph, x } = setup();
    graph.nodes.push(rawNode('MatMul', [x, x], 'product', pair));
    expect(() => verify(graph)).to.throw('graph test: product: both inputs must have rank 2 or more');
  });

  it('an output that no node defines', () => {
    const { graph, x } = setup();
    graph.output('lost', rawNode('Exp', [x], 'lost', pair).outputs[0]!);
    expect(() => verify(graph)).to.throw('output "lost" is not defined');
  });

  for (const taken of ['x', 'Exp']) {
    it(`an output named "${taken}", like a value it is not`, () => {
      const { graph, y } = setup();
      graph.output(taken, y);
      expect(() => verify(graph)).to.throw(`the output name "${taken}" is taken by another value`);
    });
  }

  it('accepts an output named like the value it is', () => {
    const { graph, h } = setup();
    graph.output('Exp', h);
    verify(graph);
  });
});
