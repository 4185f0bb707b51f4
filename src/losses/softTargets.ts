import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { scale } from './scale.js';

/** Losses whose target is a distribution. The targets are constants: they come from inputs of the graph. */

export interface Temperatures {
  readonly studentTemperature: number;
  readonly teacherTemperature: number;
}

/** `-mean_n sum_j softmax(teacher / T_t)_j log softmax(student / T_s)_j`. Logits `[N, C]` -> scalar. */
export function softCrossEntropy(
  b: Builder,
  student: Value,
  teacher: Value,
  { studentTemperature, teacherTemperature }: Temperatures,
): Value {
  const target = b.op('Softmax', [scale(b, teacher, 1 / teacherTemperature)]);
  const prediction = b.op('LogSoftmax', [scale(b, student, 1 / studentTemperature)]);
  return b.op('Neg', [meanOfRowSums(b, b.op('Mul', [target, prediction]))]);
}

/**
 * KL(teacher || student): `mean_n sum_j p_j (log p_j - log q_j)`, p the teacher's probabilities and q the student's.
 * Logs of both, `[N, C]` -> scalar.
 */
export function klDivergence(b: Builder, logStudent: Value, logTeacher: Value): Value {
  const difference = b.op('Sub', [logTeacher, logStudent]);
  return meanOfRowSums(b, b.op('Mul', [b.op('Exp', [logTeacher]), difference]));
}

/** `[N, C]` -> scalar. */
function meanOfRowSums(b: Builder, x: Value): Value {
  const sums = b.op('ReduceSum', [x], { axes: [1], keepdims: false });
  return b.op('ReduceMean', [sums], { keepdims: false });
}
