import type { Config } from '../config/schema.js';
import { firstColumn } from '../losses/distillation.js';
import { infoNce } from '../losses/infoNce.js';
import { batchSimilarities } from '../losses/similarities.js';
import { mocoV3Predictor, mocoV3Projector } from '../nn/heads/mocoV3Heads.js';
import { keyProgram, momentumProgram } from '../programs/key.js';
import type { Objective } from '../programs/query.js';
import { distilled } from './distilled.js';
import { queries, updatesAndEvaluation, type Method } from './method.js';

/**
 * SlimCLR-MoCo v3 (Chen et al., 2021): the queries of each view, behind a predictor, against the momentum encoder's
 * keys of the other view in the whole batch. A step runs the query programs once for each view of each micro-batch;
 * the loss of a step is the sum of both directions.
 */
export const mocoV3: Method<'moco-v3'> = {
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
};

function objective(config: Config, dimension: number, temperature: number): Objective {
  const { batchSize, accumulation } = config;
  const others = batchSize * (accumulation - 1);
  return (pass) => {
    const { b, graph, output } = pass;
    const keys = graph.input('keys', { dtype: 'float32', shape: [batchSize, dimension] });
    const otherKeys =
      others > 0 ? graph.input('other_keys', { dtype: 'float32', shape: [others, dimension] }) : null;
    const embedding = b.op('L2Normalize', [output]); // [N, D]
    const similarities = batchSimilarities(b, embedding, keys, otherKeys); // [N, M], M keys in the whole batch
    const crossEntropy = infoNce(b, similarities, temperature);
    const loss = b.op('Mul', [crossEntropy, b.scalar(2 * temperature)]);
    // Distillation sees the similarities behind the temperature (docs/method.md, online distillation).
    const logits = b.op('Mul', [similarities, b.scalar(1 / temperature)]);
    return distilled(pass, config, { name: 'info_nce', loss }, { logits, embedding }, firstColumn);
  };
}
