import { expect } from 'chai';
import { gradients } from '../src/autodiff.js';
import { Graph, type TensorType, type Value } from '../src/graph/graph.js';
import { Builder } from '../src/ops/builder.js';
import { lower } from '../src/targets/lower.js';
import { portable } from '../src/targets/portable.js';
import { checkGradient, type GradientCase } from './support/checkGradient.js';
import { evaluate } from './support/evaluate.js';
import { withRule } from './support/withRule.js';

const seed = 11;

/** A graph with float32 inputs `[2]` of the given names. */
function setup(...names: string[]) {
  const graph = new Graph('test');
  const type: TensorType = { dtype: 'float32', shape: [2] };
  return { graph, b: new Builder(graph), inputs: names.map((name) => graph.input(name, type)) };
}

const total = (b: Builder, x: Value) => b.op('ReduceSum', [x], { keepdims: false });

describe('gradients', () => {
  const graphs: GradientCase[] = [
    {
      title: 'a value used twice by one node, x * x',
      inputs: [{ shape: [3] }],
      build: (b, [x]) => [b.op('Mul', [x!, x!])],
    },
    {
      title: 'a value used by three nodes',
      inputs: [{ shape: [3] }],
      build: (b, [x]) => {
        const product = b.op('Mul', [b.op('Exp', [x!]), b.op('Sigmoid', [x!])]);
        return [b.op('Sub', [product, x!])];
      },
    },
    {
      title: 'a diamond whose arms broadcast differently',
      inputs: [{ shape: [3] }, { shape: [2, 1] }],
      build: (b, [x, y]) => {
        const z = b.op('Mul', [x!, y!]);
        const left = b.op('Mul', [z, b.op('ReduceSum', [z], { axes: [0] })]);
        return [b.op('Add', [left, b.op('Exp', [b.op('Mul', [x!, x!])])])];
      },
    },
    {
      title: 'two outputs, one an intermediate of the other',
      inputs: [{ shape: [2, 2] }],
      build: (b, [x]) => {
        const y = b.op('Sigmoid', [x!]);
        return [y, b.op('MatMul', [y, y])];
      },
    },
    {
      title: 'a residual block: batch norm, sigmoid and convolution with a shortcut',
      dtype: 'float32',
      inputs: [{ shape: [2, 2, 3, 3] }, { shape: [2, 2, 3, 3] }, { shape: [2] }, { shape: [2] }],
      build: (b, [x, w, gamma, beta]) => {
        const h = b.op('Sigmoid', [b.op('BatchNormTrain', [x!, gamma!, beta!], { epsilon: 1e-5 })]);
        return [b.op('Add', [x!, b.op('Conv', [h, w!], { strides: [1, 1], pads: [1, 1, 1, 1] })])];
      },
    },
  ];
  for (const test of graphs) it(`${test.title}: as finite differences`, () => checkGradient(test, seed));

  it('with respect to an intermediate value, and to the loss itself', async () => {
    const [dy, dLoss] = await evaluate([{ shape: [2], values: [1, 2] }], (b, [x]) => {
      const y = b.op('Exp', [x!]);
      const loss = total(b, b.op('Mul', [y, b.scalar(3)]));
      return gradients(b, loss, [y, loss]);
    });
    expect(dy).to.deep.equal([3, 3]);
    expect(dLoss).to.deep.equal([1]);
  });

  it('a parameter asked for twice gets the same gradient twice', () => {
    const { b, inputs } = setup('x');
    const [first, second] = gradients(b, total(b, inputs[0]!), [inputs[0]!, inputs[0]!]);
    expect(first).to.equal(second);
  });

  it('a seed scales every gradient', async () => {
    const operands = [
      { shape: [2], values: [3, 5] },
      { shape: [], values: [0.25] },
    ];
    const [dx] = await evaluate(operands, (b, [x, weight]) =>
      gradients(b, total(b, b.op('Mul', [x!, x!])), [x!], weight),
    );
    expect(dx).to.deep.equal([1.5, 2.5]);
  });

  it('a seed that is no scalar of the dtype of the loss: error names both', () => {
    const { b, inputs } = setup('x');
    expect(() => gradients(b, total(b, inputs[0]!), inputs, inputs[0])).to.throw(
      'the seed is float32[2], the loss float32[]',
    );
  });

  it('a loss that is no scalar: error names it and its shape', () => {
    const { b, inputs } = setup('x');
    expect(() => gradients(b, b.op('Exp', inputs), inputs)).to.throw('Exp has shape [2], a scalar is needed');
  });

  it('a parameter that the loss does not depend on: error names it', () => {
    const { b, inputs } = setup('x', 'unused');
    expect(() => gradients(b, total(b, inputs[0]!), inputs)).to.throw(/ReduceSum does not depend on unused/);
  });

  it('a parameter that only reaches the loss through integers: error names it', () => {
    const { b, inputs } = setup('x');
    const rounded = b.op('Cast', [b.op('Cast', inputs, { to: 'int64' })], { to: 'float32' });
    expect(() => gradients(b, total(b, rounded), inputs)).to.throw(/does not depend on x/);
  });

  it('an operator without a gradient on the way: error names the node', () => {
    const { b, inputs } = setup('x');
    const y = b.scope('encoder', () => b.op('Sign', inputs));
    expect(() => gradients(b, total(b, y), inputs)).to.throw('encoder/Sign: Sign is not differentiable');
  });

  it('an operator without a gradient beside the way is no error', () => {
    const { b, inputs } = setup('x', 'y');
    const loss = total(b, b.op('Mul', [inputs[0]!, b.op('Sign', [inputs[1]!])]));
    expect(gradients(b, loss, [inputs[0]!])).to.have.length(1);
  });

  it('a rule that returns a gradient of the wrong type: error names node, input and types', () =>
    withRule(
      'Exp',
      ({ b, outputs: [y] }) => [b.op('Cast', [y!], { to: 'float64' })],
      () => {
        const { b, inputs } = setup('x');
        const y = b.op('Exp', inputs);
        expect(() => gradients(b, total(b, y), inputs)).to.throw(
          'Exp: the gradient of input 0 is float64[2], the input is float32[2]',
        );
        return Promise.resolve();
      },
    ));

  it('a rule that returns no gradient for an input that needs one: error names node and input', () =>
    withRule(
      'Exp',
      () => [null],
      () => {
        const { b, inputs } = setup('x');
        const y = b.op('Exp', inputs);
        expect(() => gradients(b, total(b, y), inputs)).to.throw('Exp: Exp has no gradient for input 0');
        return Promise.resolve();
      },
    ));
});

describe('gradients: work for what was asked for only', () => {
  /** Operators of the nodes that `gradients` adds to a convolution, relu, convolution chain. */
  function addedOperators(ask: (x: Value, w1: Value, w2: Value) => Value[]): string[] {
    const graph = new Graph('chain');
    const b = new Builder(graph);
    const weight: TensorType = { dtype: 'float32', shape: [3, 3, 3, 3] };
    const x = graph.input('x', { dtype: 'float32', shape: [1, 3, 8, 8] });
    const [w1, w2] = [graph.input('w1', weight), graph.input('w2', weight)];
    const attributes = { strides: [1, 1], pads: [1, 1, 1, 1] } as const;
    const h = b.op('Relu', [b.op('Conv', [x, w1], attributes)]);
    const loss = total(b, b.op('Conv', [h, w2], attributes));
    const before = graph.nodes.length;
    gradients(b, loss, ask(x, w1, w2));
    return graph.nodes.slice(before).map((node) => node.op);
  }
  const count = (operators: string[], op: string) => operators.filter((o) => o === op).length;

  it('both weights: no gradient of the image', () => {
    const added = addedOperators((_x, w1, w2) => [w1, w2]);
    expect(count(added, 'ConvInputGrad')).to.equal(1);
    expect(count(added, 'ConvWeightGrad')).to.equal(2);
  });

  it('the last weight: nothing below it', () => {
    const added = addedOperators((_x, _w1, w2) => [w2]);
    expect(added).to.deep.equal(['Reshape', 'Expand', 'ConvWeightGrad']);
  });

  it('the image: no gradient of a weight', () => {
    const added = addedOperators((x) => [x]);
    expect(count(added, 'ConvInputGrad')).to.equal(2);
    expect(count(added, 'ConvWeightGrad')).to.equal(0);
  });

  it('nodes that the loss does not depend on get no gradient', () => {
    const { graph, b, inputs } = setup('x');
    const loss = total(b, b.op('Exp', inputs));
    b.op('Sigmoid', inputs);
    const before = graph.nodes.length;
    gradients(b, loss, inputs);
    expect(graph.nodes.slice(before).map((node) => node.name)).to.deep.equal([
      'ReduceSum.grad/Reshape',
      'ReduceSum.grad/Expand',
      'Exp.grad/Mul',
    ]);
  });

  it('a gradient that no output uses is pruned by lowering', () => {
    const { graph, b, inputs } = setup('x', 'y');
    const loss = total(b, b.op('Mul', inputs));
    const [dx] = gradients(b, loss, inputs);
    graph.output('dx', dx!);
    const lowered = lower(graph, portable);
    expect(lowered.nodes.map((node) => node.name)).to.deep.equal([
      'ReduceSum.grad/Reshape',
      'ReduceSum.grad/Expand',
      'Mul.grad/Mul',
    ]);
  });
});
