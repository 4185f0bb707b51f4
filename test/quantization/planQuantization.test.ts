import { expect } from 'chai';
import { planQuantization } from '../../src/quantization/planQuantization.js';
import { quantizableLayers } from '../../src/quantization/quantizeGraph.js';
import type { Graph } from '../../src/graph/graph.js';
import { cpu, optimizedOperators, randomGraph, randomImages } from './quantized.js';

const choice = { activations: 'uint8', calibration: 'minmax' } as const;

/** The graph with one layer's first output channel a thousand times as large, which rounding the input of the next suffers from. */
function damaged(graph: Graph, layer: string): Graph {
  for (const [value, fallback] of graph.defaults) {
    if (value.name !== `${layer}.weight` || fallback.kind !== 'inline') continue;
    const values = fallback.values as Float32Array;
    values.set(values.subarray(0, values.length / value.dims[0]!).map((weight) => 1000 * weight));
  }
  return graph;
}

const convolutions = (graph: Graph) => graph.nodes.filter(({ op }) => op === 'Conv');

describe('planQuantization: ResNet-20 at width 0.25', function () {
  this.timeout(60_000);
  const batches = [randomImages(8, 32)];

  it('what fits at once is quantised whole', async () => {
    const { graph } = randomGraph('resnet20', 0.25);
    const tested: Graph[] = [];
    const fits = (candidate: Graph) => Promise.resolve(tested.push(candidate) > 0);
    const plan = await planQuantization(graph, batches, choice, fits, cpu);
    expect(plan.float).to.deep.equal([]);
    expect(plan.layers).to.have.length(21);
    expect(tested).to.deep.equal([plan.quantised]);
    expect(plan.cosine).to.be.within(0.999, 1);
  });

  it('a layer that cannot bear it goes back to float32 first, the others stay', async () => {
    const { graph } = randomGraph('resnet20', 0.25);
    const sensitive = 'encoder.layer3.2.conv2';
    damaged(graph, 'encoder.layer3.2.conv1');
    const fits = async (candidate: Graph) => !((await optimizedOperators(candidate))['QLinearConv'] === 21);
    const plan = await planQuantization(graph, batches, choice, fits, cpu);
    expect(plan.float).to.deep.equal([`${sensitive}/Conv`]);
    expect(convolutions(plan.quantised)).to.have.length(21);
    expect(await optimizedOperators(plan.quantised)).to.include({ QLinearConv: 20, Conv: 1 });
  });

  it('as few layers as it takes, the most sensitive ones', async () => {
    const { graph } = randomGraph('resnet20', 0.25);
    for (const most of [0, 3, 20]) {
      const counts: number[] = [];
      const fits = async (candidate: Graph) => {
        const { QLinearConv = 0 } = await optimizedOperators(candidate);
        counts.push(QLinearConv);
        return QLinearConv <= most;
      };
      const plan = await planQuantization(graph, batches, choice, fits, cpu);
      // A model of which nothing is quantised is not tested: it is the graph itself.
      expect(plan.float, String(most)).to.have.length(21 - most);
      expect(new Set(plan.float).size).to.equal(21 - most);
      expect(counts.length).to.be.below(12);
      if (most === 0) expect(plan.float).to.have.members(quantizableLayers(graph));
    }
  });
});
