import type { Diagnostics } from '../diagnostics/measured.js';
import type { TrainingEvent } from '../training/events.js';
import type { Scalar } from './event.js';

type EventOf<T extends TrainingEvent['type']> = Extract<TrainingEvent, { type: T }>;

/** What an event adds to the curves; `batch` is the number of images of a step. */
export function pointsOf(event: TrainingEvent, batch: number): { step: number; scalars: Scalar[] } | null {
  switch (event.type) {
    case 'step':
      return { step: event.step, scalars: stepScalars(event, batch) };
    case 'knn':
      return { step: event.step, scalars: accuracyScalars(event) };
    case 'diagnostics':
      return { step: event.step, scalars: diagnosticScalars(event.diagnostics) };
    default:
      return null;
  }
}

function stepScalars({ losses, learningRate, lossScale, seconds }: EventOf<'step'>, batch: number): Scalar[] {
  return [
    ...Object.entries(losses).flatMap(([label, { loss, terms }]) => [
      scalar(`loss/${label}`, loss),
      ...Object.entries(terms).map(([term, value]) => scalar(`loss/${label}/${term}`, value)),
    ]),
    scalar('learning_rate', learningRate),
    ...(lossScale === undefined ? [] : [scalar('loss_scale', lossScale)]),
    scalar('images_per_second', batch / seconds),
  ];
}

/** Shares in [0, 1], as in the event. */
function accuracyScalars({ accuracies }: EventOf<'knn'>): Scalar[] {
  return Object.entries(accuracies).flatMap(([label, { top1, top5 }]) => [
    scalar(`knn/${label}/top1_share`, top1),
    scalar(`knn/${label}/top5_share`, top5),
  ]);
}

function diagnosticScalars({ gradientNorms, cosines, features = {}, queueAge }: Diagnostics): Scalar[] {
  return [
    ...Object.entries(gradientNorms).flatMap(([label, { region, rest, ratio }]) => [
      scalar(`gradient/norm/${label}/region`, region),
      ...(rest === null ? [] : [scalar(`gradient/norm/${label}/rest`, rest)]),
      ...(ratio === null ? [] : [scalar(`gradient/ratio/${label}`, ratio)]),
    ]),
    ...cosines.map(({ wide, narrow, cosine }) => scalar(`gradient/cosine/${wide}-${narrow}`, cosine)),
    ...Object.entries(features).flatMap(([label, { alignment, uniformity, std }]) => [
      scalar(`features/${label}/alignment`, alignment),
      scalar(`features/${label}/uniformity`, uniformity),
      scalar(`features/${label}/std`, std),
    ]),
    ...(queueAge ? [scalar('queue/age_mean', queueAge.mean), scalar('queue/age_max', queueAge.max)] : []),
  ];
}

const scalar = (tag: string, value: number): Scalar => ({ tag, value });
