import { slimStartEpoch } from '../../config/techniques.js';
import type { WidthLoss } from '../../training/events.js';
import { seriesOf, stepChart, widthSeries, type LineChart, type ChartRule } from '../charts.js';
import { imagesPerStep, type History, type StepEvent } from '../history.js';
import { chartsOr, type Section } from '../section.js';
import { seriesColor } from '../style.js';

/** Titles of the terms that the methods name in their events. */
const termTitles: Readonly<Record<string, string>> = {
  info_nce: 'InfoNCE',
  nt_xent: 'NT-Xent',
  cross_entropy: 'Cross entropy',
  seed: 'SEED distillation',
  distillation: 'Distillation',
};

/** Losses and their terms, learning rate, speed. */
export function trainingSection(history: History): Section {
  return {
    id: 'training',
    title: 'Training',
    blocks: [chartsOr(trainingCharts(history), 'This run has logged no training step yet.')],
  };
}

/** The step from which all widths train, for charts over steps; none before it is reached. */
export function slowStartRule({ start, steps }: History): ChartRule[] {
  if (start === undefined) return [];
  const { config, stepsPerEpoch } = start;
  const at = slimStartEpoch(config.techniques.slowStart) * stepsPerEpoch;
  const isReached = at <= (steps.at(-1)?.step ?? 0);
  return config.widths.length > 1 && at > 0 && isReached
    ? [{ axis: 'x', at, label: 'sub-networks start' }]
    : [];
}

function trainingCharts(history: History): (LineChart | null)[] {
  const { start, steps } = history;
  if (start === undefined) return [];
  const { labels, config } = start;
  const rules = slowStartRule(history);
  const images = imagesPerStep(config);
  const names = termNames(steps);
  // A loss of one term alone is that term.
  const terms = names.length === 1 ? [] : names;
  const [only] = names.length === 1 ? names : [];
  const { distillation } = config.techniques;
  const taughtShare = 'weight' in distillation ? distillation.weight : 0;
  const isDivergence = steps.some(({ losses }) =>
    Object.values(losses).some((loss) => 'teacherEntropy' in loss),
  );
  const perStep = (name: string, value: (event: StepEvent) => number) =>
    seriesOf(
      { name, color: seriesColor(0) },
      steps.map((event) => [event.step, value(event)]),
    );
  return [
    stepChart(
      {
        id: 'loss',
        title: `Loss of each width${only === undefined ? '' : ` (${titleOf(only)})`}`,
        ...(isDivergence && { caption: divergenceCaption }),
        yLabel: 'loss, nats',
      },
      widthSeries(labels, steps, ({ step, losses }, label) => [
        step,
        divergence(losses[label]?.loss, losses[label], taughtShare),
      ]),
      rules,
    ),
    ...terms.map((term) =>
      stepChart(
        {
          id: `loss-${term}`,
          title: `${titleOf(term)} term of each width`,
          ...(isDivergence && term === 'distillation' && { caption: divergenceCaption }),
          yLabel: titleOf(term),
        },
        widthSeries(labels, steps, ({ step, losses }, label) => {
          const loss = losses[label];
          const value = loss?.terms[term];
          return [step, term === 'distillation' ? divergence(value, loss, 1) : value];
        }),
        rules,
      ),
    ),
    epochLosses(history, taughtShare, isDivergence),
    stepChart(
      { id: 'learning-rate', title: 'Learning rate', yLabel: 'learning rate', yScale: 'zero' },
      perStep('learning rate', ({ learningRate }) => learningRate),
      rules,
    ),
    stepChart(
      { id: 'speed', title: 'Training speed', yLabel: 'images per second', yScale: 'zero' },
      perStep('images per second', ({ seconds }) => images / seconds),
      rules,
    ),
    stepChart(
      { id: 'loader', title: 'Time spent waiting for the loader', yLabel: 'share of the step, %', yScale: 'zero' }, // prettier-ignore
      perStep('waiting', ({ seconds, loaderSeconds }) => (100 * loaderSeconds) / seconds),
      rules,
    ),
  ];
}

/** The trend over many epochs, which single steps scatter about; null for less than two epochs. */
function epochLosses(history: History, taughtShare: number, isDivergence: boolean): LineChart | null {
  const { start, epochs } = history;
  if (start === undefined || epochs.length < 2) return null;
  return stepChart(
    {
      id: 'loss-epochs',
      title: 'Mean loss of each width in each epoch',
      ...(isDivergence && { caption: divergenceCaption }),
      xLabel: 'epoch',
      yLabel: 'loss, nats',
    },
    widthSeries(start.labels, epochs, ({ epoch, losses }, label) => [
      epoch + 1,
      divergence(losses[label]?.loss, losses[label], taughtShare),
    ]),
    inEpochs(slowStartRule(history), start.stepsPerEpoch),
  );
}

/** Rules at steps as rules at epochs. */
export function inEpochs(rules: readonly ChartRule[], stepsPerEpoch: number): ChartRule[] {
  return rules.map((rule) => ({ ...rule, at: rule.at / stepsPerEpoch }));
}

/** Of all widths and steps, in the order in which they first appear. */
function termNames(steps: readonly StepEvent[]): string[] {
  const names = new Set<string>();
  for (const { losses } of steps) {
    for (const { terms } of Object.values(losses)) for (const name of Object.keys(terms)) names.add(name);
  }
  return [...names];
}

/** How charts of soft distillation are to be read. */
const divergenceCaption =
  "Distillation as divergence from the teacher: without the teacher's own entropy, which no student goes below.";

/** A value with `share` of a width's distillation in it, less that share of the teacher's entropy where it is logged. */
function divergence(
  value: number | null | undefined,
  loss: Pick<WidthLoss, 'teacherEntropy'> | undefined,
  share: number,
): number | undefined {
  // In the log a loss that is not finite is null.
  return value === undefined || value === null ? undefined : value - share * (loss?.teacherEntropy ?? 0);
}

function titleOf(term: string): string {
  return termTitles[term] ?? term;
}
