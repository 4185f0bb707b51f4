import { expect } from 'chai';
import { SlimclrError } from '../../src/errors.js';
import { Graph } from '../../src/graph/graph.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { Builder } from '../../src/ops/builder.js';
import { bindWeights } from '../../src/programs/bindWeights.js';

/** y = x W[row:row + 2, column:column + 2]^T + b, W [3, 4]. */
function graph(row = 0, column = 0): Graph {
  const graph = new Graph('linear');
  const input = (name: string, shape: number[]) =>
    graph.input(name, { dtype: 'float32', shape }, { kind: 'weights', tensor: name });
  const b = new Builder(graph);
  const x = graph.input('x', { dtype: 'float32', shape: ['batch', 2] });
  const block = b.op('Slice', [input('w', [3, 4])], {
    starts: [row, column],
    ends: [row + 2, column + 2],
    axes: [0, 1],
  });
  graph.output('y', b.op('Gemm', [x, block, input('b', [2])], { transB: true }));
  return graph;
}

const tensor = (...shape: number[]): TensorData => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => i),
});

describe('bindWeights', () => {
  it('a sliced weight [3, 4] and a whole bias: the leading block [2, 2] and the bias, no Slice', () => {
    const bound = bindWeights(graph(), new Map([['w', tensor(3, 4)], ['b', tensor(2)]])); // prettier-ignore
    expect(bound.nodes.map(({ op }) => op)).to.deep.equal(['Gemm']);
    const defaults = [...bound.defaults].map(([{ name, shape }, fallback]) => ({ name, shape, fallback }));
    expect(defaults).to.deep.equal([
      { name: 'w', shape: [2, 2], fallback: { kind: 'inline', values: Float32Array.of(0, 1, 4, 5) } },
      { name: 'b', shape: [2], fallback: { kind: 'inline', values: Float32Array.of(0, 1) } },
    ]);
  });

  it('a block that starts at [1, 2]: its values', () => {
    const bound = bindWeights(graph(1, 2), new Map([['w', tensor(3, 4)], ['b', tensor(2)]])); // prettier-ignore
    expect(bound.nodes.map(({ op }) => op)).to.deep.equal(['Gemm']);
    const [fallback] = [...bound.defaults.values()];
    expect(fallback).to.deep.equal({ kind: 'inline', values: Float32Array.of(6, 7, 10, 11) });
  });

  it('a tensor that is missing, or of another shape: SlimclrError that names it', () => {
    const bind = (entries: [string, TensorData][]) => () => bindWeights(graph(), new Map(entries));
    expect(bind([['w', tensor(3, 4)]])).to.throw(SlimclrError, 'no tensor "b"');
    expect(bind([['w', tensor(4, 3)]])).to.throw(SlimclrError, '"w" of the weights is float32[4,3]');
  });
});
