import type { Config } from '../config/schema.js';
import { crossEntropy } from '../losses/crossEntropy.js';
import { classifier } from '../nn/heads/classifier.js';
import { names } from '../programs/names.js';
import type { Objective } from '../programs/query.js';
import { distilled } from './distilled.js';
import { queries, updatesAndEvaluation, type Method } from './method.js';

/**
 * Supervised slimmable training (Yu et al., Slimmable Neural Networks, 2019) on one augmented view and labels. With
 * distillation the full width's class scores teach the others in place (Yu and Huang, 2019).
 */
export const supervised: Method<'supervised'> = {
  needs: ({ classes }) => ({ classes, views: 1, models: [] }),
  heads(add, { classes }) {
    const head = add('head', (options) => classifier(options, classes));
    return { head, keyHead: head };
  },
  programs: (network, config) => [
    ...queries(network, config, config.batchSize, objective(config)),
    ...updatesAndEvaluation(network, config, config.accumulation),
  ],
  async step(context, batches) {
    for (const batch of batches) {
      const images = await context.view(batch, 0);
      const classes = await context.classes(batch);
      await context.pass({ inputs: () => ({ [names.images]: images, [names.labels]: classes }) });
    }
  },
};

function objective(config: Config): Objective {
  return (pass) => {
    const { b, graph, output: logits } = pass; // [N, classes]
    const labels = graph.input(names.labels, { dtype: 'int64', shape: [config.batchSize] });
    const loss = crossEntropy(b, logits, labels);
    return distilled(pass, config, { name: 'cross_entropy', loss }, { logits }, { kind: 'labels', labels });
  };
}
