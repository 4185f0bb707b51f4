import { bucketMeans, type Point } from './downsample.js';
import { trainingHistory, type History, type StepEvent } from './history.js';
import type { Run } from './run.js';
import { seriesColor } from './style.js';
import { summarizeWidths } from './summary.js';

/** One chart as data; page.ts draws it. */
export interface Chart {
  /** Identifier of its figure in the page. */
  readonly id: string;
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** Dots at the points of the series. */
  readonly dots: boolean;
  /** What happens at this x, as a vertical rule. */
  readonly rule?: { readonly x: number; readonly label: string };
  /** The y axis starts at 0. */
  readonly fromZero: boolean;
}

export interface Series {
  readonly name: string;
  /** A CSS colour; may be a variable of the page. */
  readonly color: string;
  readonly points: readonly Point[];
}

/** The charts a run has data for. */
export function runCharts(run: Run): Chart[] {
  return [...accuracyCharts(run), ...trainingCharts(trainingHistory(run.events))].filter(
    ({ series }) => series.length > 0,
  );
}

/** Accuracy against multiply-adds, the trained encoder beside the random one. */
function accuracyCharts(run: Run): Chart[] {
  const widths = summarizeWidths(run);
  return (['knn', 'probe'] as const).map((kind) => ({
    id: kind,
    title: kind === 'knn' ? 'kNN accuracy by width' : 'Linear probe accuracy by width',
    xLabel: 'multiply-adds of one image, millions',
    yLabel: 'top-1 accuracy, %',
    series: (['trained', 'random'] as const).flatMap((name) =>
      seriesOf(
        name,
        name === 'trained' ? seriesColor(0) : 'var(--muted)',
        widths.map(({ model, [kind]: accuracy }) => [
          (model?.multiplyAdds ?? NaN) / 1e6,
          100 * (accuracy?.[name]?.top1 ?? NaN),
        ]),
      ),
    ),
    dots: true,
    fromZero: true,
  }));
}

function trainingCharts({ start, steps }: History): Chart[] {
  if (start === undefined) return [];
  const { config, labels, stepsPerEpoch } = start;
  const slimStart = config.widths.length > 1 ? config.method.slimStartEpoch * stepsPerEpoch : 0;
  const rule = slimStart > 0 ? { rule: { x: slimStart, label: 'sub-networks start' } } : {};

  const perWidth = (term: 'loss' | 'infoNce' | 'distillation') =>
    labels.flatMap((label, i) =>
      seriesOf(
        label,
        seriesColor(i),
        steps.map((event) => [event.step, event.losses[label]?.[term] ?? NaN]),
      ),
    );
  const perStep = (name: string, value: (event: StepEvent) => number) =>
    seriesOf(
      name,
      seriesColor(0),
      steps.map((event) => [event.step, value(event)]),
    );
  const common = { xLabel: 'step', dots: false, ...rule };
  return [
    {
      ...common,
      id: 'loss',
      title: 'Loss of each width',
      yLabel: 'loss, nats',
      series: perWidth('loss'),
      fromZero: false,
    },
    {
      ...common,
      id: 'info-nce',
      title: 'InfoNCE of each width',
      yLabel: 'InfoNCE, nats',
      series: perWidth('infoNce'),
      fromZero: false,
    },
    {
      ...common,
      id: 'distillation',
      title: 'Distillation loss of the sub-networks',
      yLabel: 'distillation loss',
      series: perWidth('distillation'),
      fromZero: false,
    },
    {
      ...common,
      id: 'learning-rate',
      title: 'Learning rate',
      yLabel: 'learning rate',
      series: perStep('learning rate', ({ learningRate }) => learningRate),
      fromZero: true,
    },
    {
      ...common,
      id: 'speed',
      title: 'Training speed',
      yLabel: 'images per second',
      series: perStep('images per second', ({ seconds }) => config.batchSize / seconds),
      fromZero: true,
    },
    {
      ...common,
      id: 'loader',
      title: 'Time spent waiting for the loader',
      yLabel: 'share of the step, %',
      series: perStep('waiting', ({ seconds, loaderSeconds }) => (100 * loaderSeconds) / seconds),
      fromZero: true,
    },
  ];
}

/** The series, or none when it has no point. */
function seriesOf(name: string, color: string, points: readonly Point[]): Series[] {
  const means = bucketMeans(points).map(([x, y]): Point => [round(x), round(y)]);
  return means.length > 0 ? [{ name, color, points: means }] : [];
}

/** More digits than a screen shows only make the page larger. */
function round(value: number): number {
  return Number(value.toPrecision(6));
}
