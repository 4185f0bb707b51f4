import { gradients } from '../autodiff.js';
import { Graph, type Value } from '../graph/graph.js';
import { crossEntropy } from '../losses/crossEntropy.js';
import { Builder } from '../ops/builder.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { Program } from './program.js';

export interface ProbeGraphOptions {
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
export function probeProgram({ width, channels, classes, batchSize, distilled }: ProbeGraphOptions): Program {
  const graph = new Graph(`probe.${widthLabel(width)}`);
  const b = new Builder(graph);
  const float = (...shape: number[]) => ({ dtype: 'float32', shape }) as const;
  const features = graph.input('features', float(batchSize, channels));
  const labels = graph.input('labels', { dtype: 'int64', shape: [batchSize] });
  const teacher = distilled ? graph.input('teacher_logits', float(batchSize, classes)) : null;
  const weight = graph.input('weight', float(classes, channels));
  const bias = graph.input('bias', float(classes));

  const logits = b.op('Gemm', [features, weight, bias], { transB: true });
  const loss = classifierLoss(b, logits, labels, teacher);
  graph.output('loss', loss);
  graph.output('logits', logits);
  const [weightGradient, biasGradient] = gradients(b, loss, [weight, bias]);
  graph.output('grad.weight', weightGradient!);
  graph.output('grad.bias', biasGradient!);
  return { name: graph.name, kind: 'probe', width: widthLabel(width), graph };
}

export interface SharedProbeOptions {
  /** Descending; the first is the full width. */
  readonly widths: readonly (Pick<ProbeGraphOptions, 'width' | 'channels'> & {
    /** The first of its channels among those of the full width; default 0. */
    readonly start?: number;
  })[];
  readonly classes: number;
  readonly batchSize: number;
}

/**
 * One step of a single slimmable linear layer for all widths, which the paper finds worse than a classifier each
 * (docs/method.md, evaluation): labels int64 `[N]`, weight `[classes, C]`, of which a width reads the columns of its
 * channels, bias `[classes]`, and of each width features `[N, C_w]` -> its loss and logits, and the sum of the
 * gradients of all losses. The losses are those of `probeProgram`.
 */
export function sharedProbeProgram({ widths, classes, batchSize }: SharedProbeOptions): Program {
  const graph = new Graph('probe.shared');
  const b = new Builder(graph);
  const labels = graph.input('labels', { dtype: 'int64', shape: [batchSize] });
  const weight = graph.input('weight', { dtype: 'float32', shape: [classes, widths[0]!.channels] });
  const bias = graph.input('bias', { dtype: 'float32', shape: [classes] });
  let teacher: Value | null = null;
  let sums: readonly [Value, Value] | null = null;
  for (const { width, channels, start = 0 } of widths) {
    const label = widthLabel(width);
    const features = graph.input(`features.${label}`, { dtype: 'float32', shape: [batchSize, channels] });
    // Gradients are taken of values that only this width reads: the teacher, which has the same weights, gets none.
    const columns = b.op('Slice', [weight], { starts: [start], ends: [start + channels], axes: [1] });
    const ownBias = b.op('Identity', [bias]);
    const logits: Value = b.op('Gemm', [features, columns, ownBias], { transB: true });
    const loss = classifierLoss(b, logits, labels, teacher);
    teacher ??= logits;
    graph.output(`loss.${label}`, loss);
    graph.output(`logits.${label}`, logits);
    const [columnGradient, biasGradient] = gradients(b, loss, [columns, ownBias]);
    sums = sums
      ? [
          b.op('AddBlock', [sums[0], columnGradient!], { starts: [0, start] }),
          b.op('Add', [sums[1], biasGradient!]),
        ]
      : [columnGradient!, biasGradient!];
  }
  graph.output('grad.weight', sums![0]);
  graph.output('grad.bias', sums![1]);
  return { name: graph.name, kind: 'probe', graph };
}

/**
 * Loss `[]` of logits `[N, classes]`: mean CE with labels int64 `[N]`, or where a teacher gives its logits
 * `[N, classes]` the mean of that and the CE with their softmax.
 */
export function classifierLoss(b: Builder, logits: Value, labels: Value, teacher: Value | null): Value {
  const hard = crossEntropy(b, logits, labels);
  if (!teacher) return hard;
  const agreement = b.op('Mul', [b.op('Softmax', [teacher]), b.op('LogSoftmax', [logits])]);
  const total = b.op('ReduceSum', [agreement], { keepdims: false });
  const batchSize = logits.dims[0]!;
  // Both terms weigh one half: hard / 2 - total / (2 N).
  return b.op('Sub', [b.op('Mul', [hard, b.scalar(0.5)]), b.op('Mul', [total, b.scalar(0.5 / batchSize)])]);
}
