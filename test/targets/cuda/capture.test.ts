import { expect } from 'chai';
import { Graph } from '../../../src/graph/graph.js';
import { emitMethod } from '../../../src/methods/index.js';
import { irVersionFor, type OnnxModel } from '../../../src/onnx/model.js';
import { Builder } from '../../../src/ops/builder.js';
import { captureProblem } from '../../../src/targets/cuda/capture.js';
import { emit } from '../../../src/targets/emit.js';
import { tinyConfig } from '../../programs/tiny.js';

/** A model of one node; its shapes are those given. */
function model(opType: string, shape: readonly (number | string)[]): OnnxModel {
  const type = { dtype: 'float32', shape } as const;
  return {
    ...{ graphName: 'one', opsets: { '': 17 }, irVersion: irVersionFor(17) },
    ...{ producer: 'test', producerVersion: '0', metadata: {}, initializers: [], values: [] },
    inputs: [{ name: 'x', type }],
    outputs: [{ name: 'y', type }],
    nodes: [{ name: 'node', opType, domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
  };
}

describe('captureProblem', () => {
  it('every graph of every program can be captured', () => {
    const { programs } = emitMethod(tinyConfig({ runtime: { target: 'cuda' } }));
    expect(programs.map(({ entry }) => entry.kind)).to.include.members(['query', 'key', 'update', 'embed']);
    for (const { entry, model } of programs) expect(captureProblem(model), entry.name).to.equal(null);
  });

  it('a Loop, an If, a NonZero: refused with the node', () => {
    expect(captureProblem(model('Relu', [2, 3]))).to.equal(null);
    expect(captureProblem(model('Loop', [2]))).to.equal('node node is a Loop, whose body the host runs');
    expect(captureProblem(model('If', [2]))).to.equal('node node is an If, whose body the host runs');
    expect(captureProblem(model('NonZero', [2]))).to.match(/NonZero, whose output's shape the host reads/);
  });

  it('a symbolic dimension: accepted where an input has it, which a binding fixes; refused elsewhere', () => {
    const graph = new Graph('middle');
    const b = new Builder(graph);
    const x = graph.input('x', { dtype: 'float32', shape: ['N', 2] });
    graph.output('y', b.op('Relu', [b.op('Neg', [x])]));
    const whole = emit(graph, { opset: 17, version: '0' });
    expect(captureProblem(whole)).to.equal(null);
    const [value] = whole.values;
    for (const symbol of ['M', '']) {
      const free = { ...value!, type: { dtype: 'float32', shape: [symbol, 2] } } as const;
      expect(captureProblem({ ...whole, values: [free] })).to.equal(
        `${value!.name} has a dimension "${symbol}" that no input fixes`,
      );
    }
  });
});
