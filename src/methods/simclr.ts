import type { Config } from '../config/schema.js';
import type { Graph, Value } from '../graph/graph.js';
import { firstColumn } from '../losses/distillation.js';
import { infoNce } from '../losses/infoNce.js';
import { viewSimilarities } from '../losses/similarities.js';
import { simclrHead } from '../nn/heads/simclrHead.js';
import type { Builder } from '../ops/builder.js';
import { featuresProgram } from '../programs/features.js';
import { names } from '../programs/names.js';
import type { Objective } from '../programs/query.js';
import { distilled } from './distilled.js';
import { queries, twoViews, updatesAndEvaluation, type Method } from './method.js';
import { others } from './others.js';
import type { MicroBatch, StepContext } from './step.js';

/**
 * SlimCLR-SimCLR (Chen et al., 2020): NT-Xent between all views of a batch; both views of the images are one batch of
 * the network. With several micro-batches the loss is still that of all of them together: `features` programs embed
 * each, and a query program takes the embeddings of the others as constants, which makes its gradient the exact part
 * of its own images.
 */
export const simclr: Method<'simclr'> = {
  needs: () => twoViews,
  heads(add, { hiddenDimension, dimension }) {
    const head = add('head', (options) => simclrHead(options, hiddenDimension, dimension));
    return { head, keyHead: head };
  },
  programs: (network, config, { dimension, temperature }) => [
    ...(config.accumulation > 1 ? config.widths.map((width) => featuresProgram(network, config, width)) : []),
    ...queries(network, config, 2 * config.batchSize, objective(config, dimension, temperature)),
    ...updatesAndEvaluation(network, config, config.accumulation),
  ],
  async step(context, batches, { dimension }) {
    const all = context.share < 1 ? await embeddings(context, batches, dimension) : null;
    for (const [i, batch] of batches.entries()) {
      const images = await context.bothViews(batch);
      await context.pass({
        inputs: async (label) => {
          const inputs = { [names.images]: images };
          for (const [view, rows] of (all?.get(label) ?? []).entries()) {
            const name = names.otherViews[view]!;
            const rest = await others(context, name, rows, context.position(i), dimension, label);
            Object.assign(inputs, rest);
          }
          return inputs;
        },
        // The loss of a pass is that of all micro-batches, its gradient the part of this one.
        gradientWeight: 1,
        positives: async (label) => viewsExchanged(await context.read(context.embedding(label))),
      });
    }
  },
};

/** By width label: embeddings `[N, D]` of view 1 and of view 2 of all micro-batches, other replicas' too. */
async function embeddings(
  context: StepContext,
  batches: readonly MicroBatch[],
  dimension: number,
): Promise<ReadonlyMap<string, readonly (readonly Float32Array[])[]>> {
  const own = new Map(context.labels.map((label) => [label, [[], []] as [Float32Array[], Float32Array[]]]));
  const embedding = context.memory('embedding', [2 * context.batchSize, dimension]);
  for (const batch of batches) {
    const images = await context.bothViews(batch);
    for (const [label, views] of own) {
      await context.run(`features.${label}`, { [names.images]: images }, { [names.embedding]: embedding });
      const rows = await context.read(embedding);
      views[0].push(rows.subarray(0, rows.length / 2));
      views[1].push(rows.subarray(rows.length / 2));
    }
  }
  const all = new Map<string, readonly (readonly Float32Array[])[]>();
  for (const [label, views] of own) {
    all.set(label, [await context.gather(views[0]), await context.gather(views[1])]);
  }
  return all;
}

/** Embeddings `[2N, D]` of two views with the views in each other's place: the positive of every row. */
function viewsExchanged(embeddings: Float32Array): Float32Array {
  const half = embeddings.length / 2;
  const exchanged = new Float32Array(embeddings.length);
  exchanged.set(embeddings.subarray(half));
  exchanged.set(embeddings.subarray(0, half), half);
  return exchanged;
}

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
    const view1 = withOthers(b, graph, own1, names.otherViews[0], others, dimension); // [M, D]
    const view2 = withOthers(b, graph, own2, names.otherViews[1], others, dimension);
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
