import type { Config } from '../config/schema.js';
import { firstColumn } from '../losses/distillation.js';
import { infoNce } from '../losses/infoNce.js';
import { queueSimilarities } from '../losses/similarities.js';
import { mocoHead } from '../nn/heads/mocoHead.js';
import { keyProgram, momentumProgram } from '../programs/key.js';
import { names } from '../programs/names.js';
import type { Objective } from '../programs/query.js';
import { distilled } from './distilled.js';
import { queries, twoViews, updatesAndEvaluation, type Method } from './method.js';
import { queuePasses } from './queuePasses.js';
import { shuffledKeys } from './shuffledKeys.js';

/**
 * SlimCLR-MoCo v2 (He et al., 2020; Chen et al., 2020): the momentum encoder's keys of view 2 and a queue of older
 * ones against the queries of view 1.
 */
export const mocoV2: Method<'moco-v2'> = {
  needs: () => twoViews,
  heads(add, { dimension }) {
    const head = add('head', (options) => mocoHead(options, dimension));
    return { head, keyHead: head };
  },
  programs: (network, config, { dimension, queueSize, temperature }) => [
    momentumProgram(),
    keyProgram(network, config),
    ...queries(network, config, config.batchSize, objective(config, dimension, queueSize, temperature)),
    ...updatesAndEvaluation(network, config, config.accumulation),
  ],
  async step(context, batches, { dimension, keyMomentum }) {
    await context.moveKeys(keyMomentum);
    const shuffled = await shuffledKeys(context, batches, dimension);
    await queuePasses(context, batches, dimension, async (batch, _view1, keys) => {
      const values = shuffled?.get(batch);
      if (values) await context.write(keys, [values]);
      else await context.embedKeys(await context.view(batch, 1, 1), keys);
    });
  },
};

function objective(config: Config, dimension: number, queueSize: number, temperature: number): Objective {
  const { batchSize } = config;
  return (pass) => {
    const { b, graph, output } = pass;
    const keys = graph.input(names.keys, { dtype: 'float32', shape: [batchSize, dimension] });
    const queue = graph.input(names.queue, { dtype: 'float32', shape: [queueSize, dimension] });
    const embedding = b.op('L2Normalize', [output]); // [N, D]
    const logits = queueSimilarities(b, embedding, keys, queue); // [N, 1 + K]
    const loss = infoNce(b, logits, temperature);
    return distilled(pass, config, { name: 'info_nce', loss }, { logits, embedding }, firstColumn);
  };
}
