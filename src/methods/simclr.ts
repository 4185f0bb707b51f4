import type { Config } from '../config/schema.js';
import type { Graph, Value } from '../graph/graph.js';
import { firstColumn } from '../losses/distillation.js';
import { infoNce } from '../losses/infoNce.js';
import { viewSimilarities } from '../losses/similarities.js';
import { simclrHead } from '../nn/heads/simclrHead.js';
import type { Builder } from '../ops/builder.js';
import { featuresProgram } from '../programs/features.js';
import type { Objective } from '../programs/query.js';
import { distilled } from './distilled.js';
import { queries, updatesAndEvaluation, type Method } from './method.js';

/**
 * SlimCLR-SimCLR (Chen et al., 2020): NT-Xent between all views of a batch; both views of the images are one batch of
 * the network. With several micro-batches the loss is still that of all of them together: `features` programs embed
 * each, and a query program takes the embeddings of the others as constants, which makes its gradient the exact part
 * of its own images.
 */
export const simclr: Method<'simclr'> = {
  heads(add, { hiddenDimension, dimension }) {
    const head = add('head', (options) => simclrHead(options, hiddenDimension, dimension));
    return { head, keyHead: head };
  },
  programs: (network, config, { dimension, temperature }) => [
    ...(config.accumulation > 1 ? config.widths.map((width) => featuresProgram(network, config, width)) : []),
    ...queries(network, config, 2 * config.batchSize, objective(config, dimension, temperature)),
    ...updatesAndEvaluation(network, config, config.accumulation),
  ],
};

function objective(config: Config, dimension: number, temperature: number): Objective {
  const { batchSize, accumulation } = config;
  return (pass) => {
    const { b, graph, output } = pass;
    const embedding = b.op('L2Normalize', [output]); // [2N, D], view 1 first
    const [own1, own2] = [0, 1].map((view) =>
      b.op('Slice', [embedding], {
        starts: [view * batchSize],
        ends: [(view + 1) * batchSize],
        axes: [0],
      }),
    ) as [Value, Value];
    const others = batchSize * (accumulation - 1);
    const view1 = withOthers(b, graph, own1, 'other_view1', others, dimension); // [M, D]
    const view2 = withOthers(b, graph, own2, 'other_view2', others, dimension);
    const logits = viewSimilarities(b, view1, view2); // [2M, 2M - 1]
    const loss = infoNce(b, logits, temperature);
    // A pass has the loss of all micro-batches, so what is distilled of embeddings is theirs too.
    const all = others === 0 ? embedding : b.op('Concat', [view1, view2], { axis: 0 }); // [2M, D]
    return distilled(pass, config, { name: 'nt_xent', loss }, { logits, embedding: all }, firstColumn);
  };
}

/** Embeddings of this micro-batch and, where there are more, those of the others behind them. */
function withOthers(b: Builder, graph: Graph, own: Value, name: string, count: number, dimension: number) {
  if (count === 0) return own;
  const others = graph.input(name, { dtype: 'float32', shape: [count, dimension] });
  return b.op('Concat', [own, others], { axis: 0 });
}
