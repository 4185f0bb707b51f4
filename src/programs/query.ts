import { gradients } from '../autodiff.js';
import { viewSize, type Config } from '../config/schema.js';
import { Graph, type Value } from '../graph/graph.js';
import { logitDistillation } from '../losses/distillation.js';
import { contrastiveLogits, infoNce } from '../losses/infoNce.js';
import { lossWeights } from '../losses/reweighting.js';
import { Forward } from '../nn/forward.js';
import { Builder } from '../ops/builder.js';
import { widthLabel } from './manifest.js';
import type { Network } from './network.js';
import { outputStatistics, type Program } from './program.js';

/**
 * Forward and backward of the query network at one width (docs/method.md, one training step, 1 and 3 to 5).
 * Gradients are those of `loss_weight * loss`; README.md lists inputs and outputs.
 */
export function queryProgram(network: Network, config: Config, width: number): Program {
  const { batchSize, method, widths } = config;
  const graph = new Graph(`query.${widthLabel(width)}`);
  const b = new Builder(graph);
  const float = (...shape: number[]) => ({ dtype: 'float32', shape }) as const;

  const images = graph.input('images', float(batchSize, 3, viewSize(config), viewSize(config)));
  const keys = graph.input('keys', float(batchSize, method.dimension));
  const queue = graph.input('queue', float(method.queueSize, method.dimension));
  const distilled = width !== widths[0] && method.distillation.kind !== 'none';
  const teacher = distilled ? graph.input('teacher_logits', float(batchSize, 1 + method.queueSize)) : null;
  const lambda = lossWeights(method.reweighting, widths)[widths.indexOf(width)]!;
  const lossWeight = graph.input('loss_weight', float(), { kind: 'inline', values: Float32Array.of(lambda) });

  const f = new Forward(b, width, 'train');
  const features = network.encoder.forward(f, images); // [N, C_w]
  const query = b.op('L2Normalize', [network.head.forward(f, features)]); // [N, D]

  const { loss, logits, contrast, distillation } = b.scope('loss', () => {
    const logits = contrastiveLogits(b, query, keys, queue); // [N, 1 + K]
    const contrast = infoNce(b, logits, method.temperature);
    if (!teacher || method.distillation.kind === 'none')
      return { loss: contrast, logits, contrast, distillation: null };
    const distillation = logitDistillation(b, logits, teacher, method.distillation);
    const { weight } = method.distillation;
    const loss = b.op('Add', [
      b.op('Mul', [contrast, b.scalar(1 - weight)]),
      b.op('Mul', [distillation, b.scalar(weight)]),
    ]);
    return { loss, logits, contrast, distillation };
  });

  graph.output('loss', loss);
  graph.output('info_nce', contrast);
  if (distillation) graph.output('distillation', distillation);
  graph.output('logits', logits);

  const outputsOf = new Map(outputStatistics(b, f));
  const trained = [...f.parameters];
  const blocks: Value[] = trained.map(([, block]) => block);
  for (const [i, gradient] of gradients(b, loss, blocks, lossWeight).entries()) {
    const { name } = trained[i]![0];
    graph.output(`grad.${name}`, gradient);
    outputsOf.set(`grad.${name}`, name);
  }
  return {
    name: graph.name,
    kind: 'query',
    width: widthLabel(width),
    graph,
    scalars: ['loss_weight'],
    outputsOf,
  };
}
