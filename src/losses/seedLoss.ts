import type { MethodOf } from '../config/methods.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { softCrossEntropy } from './softTargets.js';

/**
 * SEED (Fang et al., 2021): the student learns the teacher's similarities with the teacher's own
 * embedding and its queue, `-mean_n sum_j softmax(teacher / T_t)_j log softmax(student / T_s)_j`. No factor for the
 * temperatures. Similarities `[N, 1 + K]` before them, those with the teacher's embedding of the same image in column
 * 0 (for the teacher itself: 1) -> scalar.
 */
export function seedLoss(
  b: Builder,
  student: Value,
  teacher: Value,
  { temperature, teacherTemperature }: Pick<MethodOf<'seed'>, 'temperature' | 'teacherTemperature'>,
): Value {
  return softCrossEntropy(b, student, teacher, { studentTemperature: temperature, teacherTemperature });
}
