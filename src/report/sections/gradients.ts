import type { Diagnostics } from '../../diagnostics/measured.js';
import { seriesOf, stepChart, widthSeries, type HeatMap, type LineChart } from '../charts.js';
import type { Measurement, History } from '../history.js';
import { chartsOr, sentence, type Section } from '../section.js';
import { seriesColor } from '../style.js';
import { noDiagnostics } from './features.js';
import { slowStartRule } from './training.js';

type Pair = Diagnostics['cosines'][number];

/** Lines of pairs that one chart can show apart; of more, those with the full width. */
const pairLimit = 8;

/** Gradient imbalance and gradient direction divergence (docs/method.md, diagnostics). */
export function gradientsSection(history: History): Section {
  const blocks =
    history.diagnostics.length === 0
      ? [sentence(noDiagnostics(history))]
      : [
          chartsOr(normCharts(history), 'No gradient was measured.'),
          chartsOr(
            cosineCharts(history),
            'The widths have no cosines: a single width has none, nor have several before the sub-networks start.',
          ),
        ];
  return { id: 'gradients', title: 'Gradients', blocks };
}

function normCharts(history: History): (LineChart | null)[] {
  const { start, diagnostics } = history;
  const labels = start?.labels ?? [];
  const rules = slowStartRule(history);
  const series = (part: 'region' | 'rest' | 'ratio') =>
    widthSeries(
      labels,
      diagnostics,
      // A logarithm has no place for 0.
      ({ step, diagnostics: { gradientNorms } }, label) => [step, gradientNorms[label]?.[part] || null],
      part === 'rest',
    );
  return [
    stepChart(
      {
        id: 'gradient-norms',
        title: 'Gradient norm in the region of each width, and in the rest',
        caption: 'Solid: the weights that a width uses. Dashed: all others.',
        yLabel: 'mean norm of a weight tensor',
        yScale: 'log',
      },
      [...series('region'), ...series('rest')],
      rules,
    ),
    stepChart(
      {
        id: 'gradient-ratios',
        title: 'Gradient norm of the rest over that of the region',
        caption: 'Below 1 the weights that the width uses receive the larger gradients.',
        yLabel: 'rest / region',
        yScale: 'log',
      },
      series('ratio'),
      [...rules, { axis: 'y', at: 1, label: 'balance' }],
    ),
    layerLines(diagnostics.at(-1)!, labels),
  ];
}

function layerLines(
  { step, diagnostics: { layerNorms } }: Measurement,
  labels: readonly string[],
): LineChart | null {
  const layers = Object.values(layerNorms).map((norms, at) => ({ norms, at }));
  const series = widthSeries(labels, layers, ({ norms, at }, label) => [at, norms[label] || null]);
  if (series.length === 0) return null;
  return {
    kind: 'lines',
    id: 'layer-norms',
    title: `Gradient norm in the region of each width by layer, at step ${step}`,
    xLabel: 'layer',
    xNames: Object.keys(layerNorms).map((name) => name.replace(/\.weight$/, '')),
    yLabel: 'norm of the weight tensor',
    series,
    dots: true,
    rules: [],
    yScale: 'log',
  };
}

function cosineCharts(history: History): (LineChart | HeatMap | null)[] {
  const last = history.diagnostics.findLast(({ diagnostics }) => diagnostics.cosines.length > 0);
  if (last === undefined) return [];
  // Of many measurements it may be a mean.
  const shown = { ...last, step: Math.round(last.step) };
  return [widthHeatMap(shown), cosineLines(history, last.diagnostics.cosines), layerHeatMap(shown)];
}

function cosineLines(history: History, pairs: readonly Pair[]): LineChart | null {
  const full = history.start?.labels[0];
  const shown = pairs.length > pairLimit ? pairs.filter(({ wide }) => wide === full) : pairs;
  return stepChart(
    { id: 'cosines', title: 'Cosine between the gradients of two widths, over steps', yLabel: 'cosine' },
    shown.flatMap(({ wide, narrow }, i) =>
      seriesOf(
        { name: pairName({ wide, narrow }), color: seriesColor(i) },
        history.diagnostics.map(({ step, diagnostics: { cosines } }) => [
          step,
          cosines.find((pair) => pair.wide === wide && pair.narrow === narrow)?.cosine ?? NaN,
        ]),
      ),
    ),
    [...slowStartRule(history), { axis: 'y', at: 0, label: 'orthogonal' }],
  );
}

function widthHeatMap({ step, diagnostics: { cosines } }: Measurement): HeatMap {
  const labels = [...new Set(cosines.flatMap(({ wide, narrow }) => [wide, narrow]))];
  return {
    kind: 'heat-map',
    id: 'cosine-map',
    title: `Cosine between the gradients of two widths at step ${step}`,
    caption: 'On the weights that both widths use, of their weighted losses.',
    columns: labels,
    rows: labels,
    cells: [
      ...labels.map((label) => ({ column: label, row: label, value: 1 })),
      ...cosines.flatMap(({ wide, narrow, cosine }) => [
        { column: wide, row: narrow, value: cosine },
        { column: narrow, row: wide, value: cosine },
      ]),
    ].flatMap(cellOf),
    wide: false,
  };
}

function layerHeatMap({ step, diagnostics: { cosines } }: Measurement): HeatMap | null {
  const rows = [...new Set(cosines.flatMap(({ layers }) => Object.keys(layers)))];
  if (rows.length === 0) return null;
  return {
    kind: 'heat-map',
    id: 'layer-cosine-map',
    title: `Cosine between the gradients of two widths by layer, at step ${step}`,
    columns: cosines.map(pairName),
    rows,
    cells: cosines
      .flatMap((pair) =>
        Object.entries(pair.layers).map(([row, value]) => ({ column: pairName(pair), row, value })),
      )
      .flatMap(cellOf),
    wide: true,
  };
}

function pairName({ wide, narrow }: Pick<Pair, 'wide' | 'narrow'>): string {
  return `${wide} · ${narrow}`;
}

/** A cosine that is not finite (a gradient is 0) is null in JSON and has no cell. */
function cellOf<Cell extends { readonly value: number | null }>(cell: Cell): (Cell & { value: number })[] {
  const { value } = cell;
  return value === null || !Number.isFinite(value) ? [] : [{ ...cell, value: Number(value.toFixed(3)) }];
}
