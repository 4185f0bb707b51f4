import { expect } from 'chai';
import { foldBatchNorm } from '../../src/export/foldBatchNorm.js';
import { Graph, type Default, type Value } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { Random } from '../../src/random.js';
import { expectClose } from '../support/expectClose.js';
import { runGraph } from '../support/runGraph.js';
import { normal, positive } from '../support/samples.js';

const conv = { strides: [1, 1], pads: [1, 1, 1, 1] } as const;
const [inputs, outputs] = [2, 3];

/** A graph and the values of its inputs. */
class Case {
  readonly graph = new Graph('fold');
  readonly b = new Builder(this.graph);
  readonly values: Record<string, number[]> = {};
  readonly #random = new Random(9);

  x(): Value {
    this.values['x'] = normal(this.#random, 2 * inputs * 25);
    return this.graph.input('x', { dtype: 'float32', shape: [2, inputs, 5, 5] });
  }

  weight(name: string, shape: number[], draw = normal, bound = true): Value {
    const count = shape.reduce((a, b) => a * b);
    this.values[name] = draw(this.#random, count);
    const fallback: Default = { kind: 'inline', values: Float32Array.from(this.values[name]) };
    return this.graph.input(name, { dtype: 'float32', shape }, bound ? fallback : undefined);
  }

  norm(x: Value, name: string): Value {
    const vectors = ['gamma', 'beta', 'mean'].map((part) => this.weight(`${name}.${part}`, [outputs]));
    const variance = this.weight(`${name}.variance`, [outputs], positive);
    return this.b.op('BatchNormalization', [x, ...vectors, variance], { epsilon: 1e-5 });
  }

  /** The folded graph, after its outputs were found equal to those of the original. */
  async folded(): Promise<Graph> {
    const folded = foldBatchNorm(this.graph);
    const feeds: Record<string, number[]> = {};
    for (const { name } of folded.inputs) feeds[name] = this.values[name]!;
    for (const [{ name }, fallback] of folded.defaults) {
      if (fallback.kind === 'inline') feeds[name] = Array.from(fallback.values, Number);
    }
    const expected = await runGraph(this.graph, this.values);
    const found = await runGraph(folded, feeds);
    for (const name of this.graph.outputs.keys()) expectClose(found[name]!, expected[name]!, 1e-5);
    return folded;
  }
}

const ops = (graph: Graph) => graph.nodes.map(({ op }) => op);
const names = (graph: Graph) => graph.inputs.map(({ name }) => name);

describe('foldBatchNorm', () => {
  it('Conv without bias: one Conv with a bias named after its weight, no unused weight', async () => {
    const test = new Case();
    const y = test.b.op('Conv', [test.x(), test.weight('stem.weight', [outputs, inputs, 3, 3])], conv);
    test.graph.output('y', test.norm(y, 'bn'));
    const folded = await test.folded();
    expect(ops(folded)).to.deep.equal(['Conv']);
    expect(names(folded)).to.deep.equal(['x', 'stem.weight', 'stem.bias']);
  });

  it('Conv with bias: the bias is scaled too', async () => {
    const test = new Case();
    const w = test.weight('stem.weight', [outputs, inputs, 3, 3]);
    const y = test.b.op('Conv', [test.x(), w, test.weight('stem.bias', [outputs])], conv);
    test.graph.output('y', test.norm(y, 'bn'));
    expect(ops(await test.folded())).to.deep.equal(['Conv']);
  });

  it('two norms in a row: only the first folds', async () => {
    const test = new Case();
    const y = test.b.op('Conv', [test.x(), test.weight('stem.weight', [outputs, inputs, 3, 3])], conv);
    test.graph.output('y', test.norm(test.norm(y, 'bn1'), 'bn2'));
    expect(ops(await test.folded())).to.deep.equal(['Conv', 'BatchNormalization']);
  });

  it('a Conv that something else reads, or whose weight is fed: stays', async () => {
    const shared = new Case();
    const y = shared.b.op('Conv', [shared.x(), shared.weight('w', [outputs, inputs, 3, 3])], conv);
    shared.graph.output('y', shared.norm(y, 'bn'));
    shared.graph.output('sum', shared.b.op('Relu', [y]));
    expect(ops(await shared.folded())).to.include('BatchNormalization');

    const fed = new Case();
    const w = fed.weight('w', [outputs, inputs, 3, 3], normal, false);
    fed.graph.output('y', fed.norm(fed.b.op('Conv', [fed.x(), w], conv), 'bn'));
    expect(ops(await fed.folded())).to.include('BatchNormalization');
  });
});
