import type { Distillation, DistillationOf } from '../config/techniques.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { isLabel } from '../ops/softmaxCrossEntropy.js';
import { scale } from './scale.js';
import { klDivergence, softCrossEntropy, type Temperatures } from './softTargets.js';

/** Which of the C classes is right: the positive in column 0, or the one that int64 labels `[R]` name. */
export type DistillationTarget =
  { readonly kind: 'first-column' } | { readonly kind: 'labels'; readonly labels: Value };

/** The target of every contrastive method. */
export const firstColumn: DistillationTarget = { kind: 'first-column' };

type Kind = Exclude<Distillation['kind'], 'none'>;
export type ActiveDistillation<K extends Kind = Kind> = { [P in K]: DistillationOf<P> }[K];

/** What student and teacher say about the same rows, `[R, C]` each, -> scalar. */
type Variant<K extends Kind> = (
  b: Builder,
  student: Value,
  teacher: Value,
  options: ActiveDistillation<K>,
  target: DistillationTarget,
) => Value;

const variants: { readonly [K in Kind]: Variant<K> } = {
  'kd-logits': kd,
  'kd-features': kd,
  'mse-logits': meanSquare,
  'mse-features': meanSquare,
  dkd,
  atkd,
};

/**
 * Online distillation of a sub-network (docs/method.md, the three techniques): the mean of the variant's loss over
 * one or more teachers. Student and teachers: logits `[R, C]`, of contrastive methods the similarities, or for a
 * variant on features the embeddings `[R, D]` -> scalar. Teachers are constants, inputs of the graph.
 */
export function distillationLoss<K extends Kind>(
  b: Builder,
  student: Value,
  teachers: readonly Value[],
  target: DistillationTarget,
  distillation: ActiveDistillation<K>,
): Value {
  const variant = variants[distillation.kind];
  const losses = teachers.map((teacher) => variant(b, student, teacher, distillation, target));
  const sum = losses.reduce((total, loss) => b.op('Add', [total, loss]));
  return losses.length === 1 ? sum : scale(b, sum, 1 / losses.length);
}

/** Soft cross entropy times T_s^2, which keeps the size of the gradient while T_s changes. `[R, C]` -> scalar. */
function kd(b: Builder, student: Value, teacher: Value, temperatures: Temperatures): Value {
  const { studentTemperature } = temperatures;
  return scale(b, softCrossEntropy(b, student, teacher, temperatures), studentTemperature ** 2);
}

/** Mean over all elements of the squared difference. */
function meanSquare(b: Builder, student: Value, teacher: Value): Value {
  const squares = b.op('ReduceSumSquare', [b.op('Sub', [student, teacher])], { keepdims: false });
  const [rows, columns] = student.dims as [number, number];
  return scale(b, squares, 1 / (rows * columns));
}

/**
 * Decoupled knowledge distillation (Zhao et al., 2022, equation 7): `T^2 (alpha TCKD + beta NCKD)`. TCKD is the KL
 * divergence of "the right class, or another", NCKD that of the other classes among themselves; both batch means.
 */
function dkd(
  b: Builder,
  student: Value,
  teacher: Value,
  { alpha, beta, temperature }: DistillationOf<'dkd'>,
  target: DistillationTarget,
): Value {
  const s = decoupled(b, scale(b, student, 1 / temperature), target);
  const t = decoupled(b, scale(b, teacher, 1 / temperature), target);
  const tckd = scale(b, klDivergence(b, s.isRight, t.isRight), alpha * temperature ** 2);
  const nckd = scale(b, klDivergence(b, s.others, t.others), beta * temperature ** 2);
  return b.op('Add', [tckd, nckd]);
}

/** Log probabilities of the right class and of all others together `[R, 2]`, and of the others alone `[R, C - 1]`. */
function decoupled(b: Builder, logits: Value, target: DistillationTarget): { isRight: Value; others: Value } {
  const { right, rest } = split(b, logits, target);
  const others = b.op('LogSoftmax', [rest]);
  // The log of a sum of exponentials is what LogSoftmax subtracts from every column. Not log(1 - p): p may round to 1.
  const first = { starts: [0], ends: [1], axes: [1] };
  const restTogether = b.op('Sub', [b.op('Slice', [rest], first), b.op('Slice', [others], first)]); // [R, 1]
  return { isRight: b.op('LogSoftmax', [b.op('Concat', [right, restTogether], { axis: 1 })]), others };
}

/** `[R, C]` -> the logits of the right classes `[R, 1]`, and all others `[R, C - 1]` in any order. */
function split(b: Builder, logits: Value, target: DistillationTarget): { right: Value; rest: Value } {
  const classes = logits.dims[1]!;
  const first = b.op('Slice', [logits], { starts: [0], ends: [1], axes: [1] });
  const behind = { starts: [1], ends: [classes], axes: [1] };
  const rest = b.op('Slice', [logits], behind);
  if (target.kind === 'first-column') return { right: first, rest };
  const hit = isLabel(b, target.labels, classes);
  const right = b.op('ReduceSum', [b.op('Where', [hit, logits, b.scalarLike(0, logits)])], { axes: [1] });
  // Column 0 moves to where the right class was; where that is column 0 itself, nothing is hit.
  return { right, rest: b.op('Where', [b.op('Slice', [hit], behind), first, rest]) };
}

/**
 * KD on logits standardised over each row: `T^2 KL(softmax(t' / T) || softmax(s' / T))`, the batch mean, with
 * `x' = multiplier (x - mean(x)) / sqrt(var(x) + 1e-5)`.
 * NOTE: the source names layer-normed logits, multiplier and temperature, no more. Decided here: the variance is
 * biased and has layer norm's epsilon; the multiplier scales the logits of both sides, not the loss; so does T.
 */
function atkd(
  b: Builder,
  student: Value,
  teacher: Value,
  { multiplier, temperature }: DistillationOf<'atkd'>,
): Value {
  const logProbabilities = (logits: Value) =>
    b.op('LogSoftmax', [scale(b, standardized(b, logits), multiplier / temperature)]);
  const divergence = klDivergence(b, logProbabilities(student), logProbabilities(teacher));
  return scale(b, divergence, temperature ** 2);
}

/** Layer norm without affine: each row of `[R, C]` with mean 0 and variance 1. */
function standardized(b: Builder, x: Value): Value {
  const centred = b.op('Sub', [x, b.op('ReduceMean', [x], { axes: [1] })]);
  const variance = scale(b, b.op('ReduceSumSquare', [centred], { axes: [1] }), 1 / x.dims[1]!); // [R, 1]
  const deviation = b.op('Sqrt', [b.op('Add', [variance, b.scalarLike(1e-5, x)])]);
  return b.op('Div', [centred, deviation]);
}
