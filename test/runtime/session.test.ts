import { expect } from 'chai';
import { Graph } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { floatTensor, type Session } from '../../src/runtime/session.js';
import { openSession } from '../support/openSession.js';
import { rejection } from '../support/rejection.js';

/** `double` and `negative` of a vector. */
function openTwo(): Promise<Session> {
  const graph = new Graph('two');
  const b = new Builder(graph);
  const x = graph.input('x', { dtype: 'float32', shape: ['n'] });
  graph.output('double', b.op('Mul', [x, b.scalar(2)]));
  graph.output('negative', b.op('Neg', [x]));
  return openSession({ name: 'two', kind: 'update', graph });
}

const vector = (...values: number[]) => floatTensor(Float32Array.from(values), [values.length]);

describe('runtime/session', () => {
  let session: Session;
  before(async () => (session = await openTwo()));
  after(() => session.close());

  it('run returns all outputs of the graph and nothing else', async () => {
    const outputs = await session.run({ x: vector(1, 2) });
    expect(Object.keys(outputs)).to.have.members(['double', 'negative']);
    expect([...(outputs['double']!.data as Float32Array)]).to.deep.equal([2, 4]);
  });

  it('runInto writes the outputs it is given and leaves the others out', async () => {
    const negative = vector(0, 0);
    await session.runInto({ x: vector(1, 2) }, { negative });
    expect([...(negative.data as Float32Array)]).to.deep.equal([-1, -2]);
  });

  it('runInto writes an element-wise result into its own input', async () => {
    const x = vector(1, 2);
    await session.runInto({ x }, { double: x });
    expect([...(x.data as Float32Array)]).to.deep.equal([2, 4]);
  });

  it('runInto makes no copy of an output', async () => {
    const elements = 2 ** 22;
    const x = floatTensor(new Float32Array(elements), [elements]);
    const double = floatTensor(new Float32Array(elements), [elements]);
    const before = process.memoryUsage().arrayBuffers;
    await session.runInto({ x }, { double });
    expect(process.memoryUsage().arrayBuffers - before).to.be.lessThan(4 * elements);
  });

  it('runInto of an input of another rank fails with the words of ONNX Runtime', async () => {
    const x = floatTensor(Float32Array.of(1, 2), [1, 2]);
    const error = await rejection(session.runInto({ x }, { double: vector(0, 0) }));
    expect(error.message).to.match(/Invalid rank for input: x/);
  });
});
