import type { Config } from '../config/schema.js';
import { firstColumn } from '../losses/distillation.js';
import { infoNce } from '../losses/infoNce.js';
import { batchSimilarities } from '../losses/similarities.js';
import { mocoV3Predictor, mocoV3Projector } from '../nn/heads/mocoV3Heads.js';
import { keyMomentum } from '../optimizers/schedule.js';
import { keyProgram, momentumProgram } from '../programs/key.js';
import { names } from '../programs/names.js';
import type { Objective } from '../programs/query.js';
import { distilled } from './distilled.js';
import { queries, twoViews, updatesAndEvaluation, type Method } from './method.js';
import { others } from './others.js';
import type { Held } from './step.js';

/**
 * SlimCLR-MoCo v3 (Chen et al., 2021): the queries of each view, behind a predictor, against the momentum encoder's
 * keys of the other view in the whole batch. A step runs the query programs once for each view of each micro-batch;
 * the loss of a step is the sum of both directions.
 */
export const mocoV3: Method<'moco-v3'> = {
  needs: () => twoViews,
  heads(add, { hiddenDimension, dimension }) {
    const projector = add('projector', (options) => mocoV3Projector(options, hiddenDimension, dimension));
    const predictor = add('predictor', (options) => mocoV3Predictor(options, hiddenDimension, dimension));
    return {
      head: { forward: (f, features) => predictor.forward(f, projector.forward(f, features)) },
      keyHead: projector,
    };
  },
  programs: (network, config, { dimension, temperature }) => [
    momentumProgram(),
    keyProgram(network, config),
    ...queries(network, config, config.batchSize, objective(config, dimension, temperature)),
    ...updatesAndEvaluation(network, config, 2 * config.accumulation),
  ],
  async step(context, batches, { dimension, keyMomentum: start }) {
    const { batchSize, step, steps } = context;
    await context.moveKeys(keyMomentum(start, { step, steps }));
    // The keys of the whole batch come first: every query is compared with all of them.
    const views: Held[][] = [];
    const keys: [Held[], Held[]] = [[], []];
    for (const [i, batch] of batches.entries()) {
      views.push([await context.view(batch, 0, 2 * i), await context.view(batch, 1, 2 * i + 1)]);
      for (const view of [0, 1] as const) {
        const own = context.memory(`keys${view}.${i}`, [batchSize, dimension]);
        await context.embedKeys(views[i]![view]!, own);
        keys[view].push(own);
      }
    }
    const rows: (readonly Float32Array[])[] = [];
    // Another replica's are needed as soon as there is one; of a batch of its own nothing is exchanged.
    for (const own of context.share < 1 ? keys : []) {
      rows.push(await context.gather(await Promise.all(own.map((tensor) => context.read(tensor)))));
    }
    for (const [i, images] of views.entries()) {
      for (const view of [0, 1] as const) {
        const other = (1 - view) as 0 | 1;
        const own = keys[other][i]!;
        const rest = await others(
          context,
          names.otherKeys,
          rows[other] ?? [],
          context.position(i),
          dimension,
        );
        await context.pass({
          inputs: () => ({ [names.images]: images[view]!, [names.keys]: own, ...rest }),
          positives: () => context.read(own),
        });
      }
    }
  },
};

function objective(config: Config, dimension: number, temperature: number): Objective {
  const { batchSize, accumulation } = config;
  const others = batchSize * (accumulation - 1);
  return (pass) => {
    const { b, graph, output } = pass;
    const keys = graph.input(names.keys, { dtype: 'float32', shape: [batchSize, dimension] });
    const otherKeys =
      others > 0 ? graph.input(names.otherKeys, { dtype: 'float32', shape: [others, dimension] }) : null;
    const embedding = b.op('L2Normalize', [output]); // [N, D]
    const similarities = batchSimilarities(b, embedding, keys, otherKeys); // [N, M], M keys in the whole batch
    const crossEntropy = infoNce(b, similarities, temperature);
    const loss = b.op('Mul', [crossEntropy, b.scalar(2 * temperature)]);
    // Distillation sees the similarities behind the temperature (docs/method.md, online distillation).
    const logits = b.op('Mul', [similarities, b.scalar(1 / temperature)]);
    return distilled(pass, config, { name: 'info_nce', loss }, { logits, embedding }, firstColumn);
  };
}
