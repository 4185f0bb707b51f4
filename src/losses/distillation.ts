import type { Config } from '../config/schema.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

export type Distillation = Config['method']['distillation'];
export type LogitDistillation = Extract<Distillation, { kind: 'kd' }>;

/**
 * Online distillation on logits (docs/method.md, the three techniques; the soft cross entropy of SEED):
 * `-mean_n sum_j softmax(teacher / T_t)_j log softmax(student / T_s)_j * T_s^2`.
 * Student and teacher `[N, 1 + K]`, before the contrastive temperature -> scalar. The teacher is a constant.
 */
export function logitDistillation(
  b: Builder,
  student: Value,
  teacher: Value,
  { teacherTemperature, studentTemperature }: LogitDistillation,
): Value {
  const target = b.op('Softmax', [b.op('Mul', [teacher, b.scalar(1 / teacherTemperature)])]);
  const prediction = b.op('LogSoftmax', [b.op('Mul', [student, b.scalar(1 / studentTemperature)])]);
  const crossEntropy = b.op('ReduceSum', [b.op('Mul', [target, prediction])], { axes: [1], keepdims: false });
  const mean = b.op('ReduceMean', [crossEntropy], { keepdims: false });
  return b.op('Mul', [mean, b.scalar(-(studentTemperature ** 2))]);
}
