import type { Config } from '../config/schema.js';
import { firstColumn } from '../losses/distillation.js';
import { seedLoss } from '../losses/seedLoss.js';
import { queueSimilarities } from '../losses/similarities.js';
import { mocoHead } from '../nn/heads/mocoHead.js';
import type { Objective } from '../programs/query.js';
import { names } from '../programs/names.js';
import { normalizeProgram } from '../programs/normalize.js';
import { distilled } from './distilled.js';
import { queries, updatesAndEvaluation, type Method } from './method.js';
import { queuePasses } from './queuePasses.js';

/**
 * SEED (Fang et al., Self-supervised Distillation for Visual Representation, 2021), the two-stage rival: a frozen
 * teacher embeds the very view that the student sees, and the student learns the teacher's similarities with a queue
 * of the teacher's embeddings. The teacher is a model of its own, no program of the folder.
 */
export const seed: Method<'seed'> = {
  needs: ({ teacher, dimension }) => ({
    classes: null,
    views: 1,
    models: [{ key: 'teacher', path: teacher, dimension }],
  }),
  heads(add, { dimension }) {
    const head = add('head', (options) => mocoHead(options, dimension));
    return { head, keyHead: head };
  },
  programs: (network, config, method) => [
    normalizeProgram(config.batchSize, method.dimension),
    ...queries(network, config, config.batchSize, objective(config, method)),
    ...updatesAndEvaluation(network, config, config.accumulation),
  ],
  step: (context, batches, { dimension }) =>
    queuePasses(context, batches, dimension, async (_batch, view1, keys) => {
      const embedding = context.memory('teacher', [context.batchSize, dimension]);
      await context.embed('teacher', view1, embedding);
      await context.run('normalize', { [names.embedding]: embedding }, { [names.keys]: keys });
    }),
};

function objective(
  config: Config,
  method: {
    readonly dimension: number;
    readonly queueSize: number;
    readonly temperature: number;
    readonly teacherTemperature: number;
  },
): Objective {
  const { dimension, queueSize } = method;
  return (pass) => {
    const { b, graph, output } = pass;
    const keys = graph.input(names.keys, { dtype: 'float32', shape: [config.batchSize, dimension] });
    const queue = graph.input(names.queue, { dtype: 'float32', shape: [queueSize, dimension] });
    const embedding = b.op('L2Normalize', [output]); // [N, D]
    const logits = queueSimilarities(b, embedding, keys, queue); // [N, 1 + K]
    const loss = seedLoss(b, logits, queueSimilarities(b, keys, keys, queue), method);
    return distilled(pass, config, { name: 'seed', loss }, { logits, embedding }, firstColumn);
  };
}
