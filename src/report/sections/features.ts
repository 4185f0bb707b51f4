import { collapsed, collapseThreshold } from '../../diagnostics/featureStatistics.js';
import { stepChart, widthSeries, type LineChart } from '../charts.js';
import type { Measurement, History } from '../history.js';
import { alarm, chartsOr, sentence, type Block, type Section } from '../section.js';
import { slowStartRule } from './training.js';

/** What an absence of diagnostics means. */
export function noDiagnostics({ start }: History): string {
  const every = start?.config.diagnostics.everySteps ?? 0;
  return every > 0
    ? `Gradients and features are measured every ${every} steps, which has not happened yet.`
    : 'This run measured no gradients and features; `--set diagnostics.everySteps=100` does so every 100 ' +
        'steps, `slimclr diagnose RUN` at a checkpoint.';
}

/** Alignment, uniformity and spread of the embeddings, and the age of the queue. */
export function featuresSection(history: History): Section {
  const { diagnostics } = history;
  const absence =
    diagnostics.length === 0
      ? noDiagnostics(history)
      : 'The method of this run has no embeddings to measure.';
  return {
    id: 'features',
    title: 'Features',
    blocks: [...collapses(diagnostics), chartsOr(featureCharts(history), absence), ...queueAge(diagnostics)],
  };
}

function featureCharts(history: History): (LineChart | null)[] {
  const { start, diagnostics } = history;
  const labels = start?.labels ?? [];
  const rules = slowStartRule(history);
  const series = (measure: 'alignment' | 'uniformity' | 'std') =>
    widthSeries(labels, diagnostics, ({ step, diagnostics: { features } }, label) => [
      step,
      features?.[label]?.[measure],
    ]);
  return [
    stepChart(
      {
        id: 'alignment',
        title: 'Alignment of positives',
        caption: 'Mean squared distance of the two views of an image: 0 when they are the same.',
        yLabel: 'squared distance',
        yScale: 'zero',
      },
      series('alignment'),
      rules,
    ),
    stepChart(
      {
        id: 'uniformity',
        title: 'Uniformity',
        caption: 'Lower is more evenly spread over the sphere; 0 when all embeddings are the same.',
        yLabel: 'log mean exp(-2 d²)',
      },
      series('uniformity'),
      rules,
    ),
    stepChart(
      {
        id: 'std',
        title: 'Spread of the embeddings',
        caption:
          'Standard deviation of a coordinate times the root of the dimension: 1 when spread over the sphere.',
        yLabel: 'standard deviation',
        yScale: 'zero',
      },
      series('std'),
      [...rules, { axis: 'y', at: collapseThreshold, label: 'collapse' }],
    ),
  ];
}

/** An alarm for the widths whose embeddings have collapsed at the last measurement. */
function collapses(diagnostics: readonly Measurement[]): Block[] {
  const last = diagnostics.at(-1);
  const features = last?.diagnostics.features ?? {};
  // What is not finite is null in JSON.
  const labels = collapsed(features).filter((label) => Number.isFinite(features[label]!.std));
  if (last === undefined || labels.length === 0) return [];
  const widths = labels.map((label) => `${label} (${features[label]!.std.toPrecision(2)})`);
  return [
    alarm(
      `Collapsed at step ${last.step}: the embeddings of ${widths.join(', ')} have a standard deviation below ` +
        `${collapseThreshold}, nearly the same for all images.`,
    ),
  ];
}

function queueAge(diagnostics: readonly Measurement[]): Block[] {
  const age = diagnostics.at(-1)?.diagnostics.queueAge;
  if (age === undefined) return [];
  const steps = (count: number) => `${Number(count.toPrecision(3))} step${count === 1 ? '' : 's'}`;
  return [sentence(`Keys in the queue are ${steps(age.mean)} old on average, the oldest ${steps(age.max)}.`)];
}
