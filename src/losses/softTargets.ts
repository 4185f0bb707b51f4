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
  const targets = b.op('Softmax', [scale(b, teacher, 1 / teacherTemperature)]);
  const losses = b.op('SoftCrossEntropy', [student, targets], { temperature: studentTemperature }); // [N]
  return b.op('ReduceMean', [losses], { keepdims: false });
}

/**
 * KL(teacher || student): `mean_n sum_j p_j (log p_j - log q_j)`, p the teacher's probabilities and q the student's.
 * Logs of both, `[N, C]` -> scalar.
 */
export function klDivergence(b: Builder, logStudent: Value, logTeacher: Value): Value {
  const difference = b.op('Sub', [logTeacher, logStudent]);
  const products = b.op('Mul', [b.op('Exp', [logTeacher]), difference]);
  const divergences = b.op('ReduceSum', [products], { axes: [1], keepdims: false }); // [N]
  return b.op('ReduceMean', [divergences], { keepdims: false });
}
