import { gradients } from '../autodiff.js';
import { Graph } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';
import { widthLabel } from './manifest.js';
import type { Program } from './program.js';

export interface ProbeOptions {
  readonly width: number;
  /** Length of the features at this width. */
  readonly channels: number;
  readonly classes: number;
  readonly batchSize: number;
  /** A sub-network's probe also learns from the full width's (detached) softmax. */
  readonly distilled: boolean;
}

/**
 * One step of the linear probe of one width (docs/method.md, switchable linear probe): features `[N, C]`, labels
 * int64 `[N]`, for a distilled probe teacher_logits `[N, classes]`, weight `[classes, C]`, bias `[classes]` ->
 * loss, logits and gradients. Loss: CE(label), or its mean with CE(softmax of the teacher).
 */
export function probeProgram({ width, channels, classes, batchSize, distilled }: ProbeOptions): Program {
  const graph = new Graph(`probe.${widthLabel(width)}`);
  const b = new Builder(graph);
  const float = (...shape: number[]) => ({ dtype: 'float32', shape }) as const;
  const features = graph.input('features', float(batchSize, channels));
  const labels = graph.input('labels', { dtype: 'int64', shape: [batchSize] });
  const teacher = distilled ? graph.input('teacher_logits', float(batchSize, classes)) : null;
  const weight = graph.input('weight', float(classes, channels));
  const bias = graph.input('bias', float(classes));

  const logits = b.op('Gemm', [features, weight, bias], { transB: true });
  const hard = b.op('ReduceMean', [b.op('SoftmaxCrossEntropy', [logits, labels])], { keepdims: false });
  let loss = hard;
  if (teacher) {
    const agreement = b.op('Mul', [b.op('Softmax', [teacher]), b.op('LogSoftmax', [logits])]);
    const total = b.op('ReduceSum', [agreement], { keepdims: false });
    // Both terms weigh one half: hard / 2 - total / (2 N).
    loss = b.op('Sub', [b.op('Mul', [hard, b.scalar(0.5)]), b.op('Mul', [total, b.scalar(0.5 / batchSize)])]);
  }
  graph.output('loss', loss);
  graph.output('logits', logits);
  const [weightGradient, biasGradient] = gradients(b, loss, [weight, bias]);
  graph.output('grad.weight', weightGradient!);
  graph.output('grad.bias', biasGradient!);
  return { name: graph.name, kind: 'probe', width: widthLabel(width), graph };
}
