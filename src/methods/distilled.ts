import type { Config } from '../config/schema.js';
import type { Value } from '../graph/graph.js';
import { distillationLoss, type DistillationTarget } from '../losses/distillation.js';
import { prefixes } from '../programs/names.js';
import {
  distilledPrediction,
  type Predictions,
  type QueryPass,
  type QueryResult,
} from '../programs/query.js';

/**
 * A width's loss: the method's own for the full width, `(1 - a) own + a distillation` for a sub-network that has
 * teachers (docs/method.md, online distillation). Their predictions are inputs `teacher.<label>`, without gradient.
 */
export function distilled(
  { b, graph, teachers }: QueryPass,
  { techniques: { distillation } }: Pick<Config, 'techniques'>,
  own: { readonly name: string; readonly loss: Value },
  predictions: Predictions,
  target: DistillationTarget,
): QueryResult {
  if (distillation.kind === 'none' || teachers.length === 0) {
    return { loss: own.loss, terms: { [own.name]: own.loss }, predictions };
  }
  const student = predictions[distilledPrediction(distillation)]!;
  const lessons = teachers.map((label) => graph.input(`${prefixes.teacher}${label}`, student.type));
  const taught = distillationLoss(b, student, lessons, target, distillation);
  const { weight } = distillation;
  const loss = b.op('Add', [
    b.op('Mul', [own.loss, b.scalar(1 - weight)]),
    b.op('Mul', [taught, b.scalar(weight)]),
  ]);
  return { loss, terms: { [own.name]: own.loss, distillation: taught }, predictions };
}
