/**
 * Runs in the report page, not in Node: draws the charts that the page holds as data. The report inlines
 * the compiled file, so it imports types only.
 */
import type * as PlotModule from '@observablehq/plot';
import type { Chart, HeatMap, LineChart, Series } from './charts.js';

/** The part of the browser that is used here; the DOM's own types would be visible in all of the package. */
declare const document: { getElementById(id: string): { textContent: string; append(node: unknown): void } };
declare const Plot: typeof PlotModule;

/** Pixels between the bars of two series at one x. */
const barDistance = 7;

const charts = JSON.parse(document.getElementById('charts').textContent) as Chart[];
for (const chart of charts) {
  document.getElementById(chart.id).append(chart.kind === 'lines' ? drawLines(chart) : drawHeatMap(chart));
}

/** A point with its label. */
interface Labelled {
  readonly label: NonNullable<Series['labels']>[number];
}

/** A point with a bar. */
interface BarPoint {
  readonly y: number;
  readonly spread: number;
}

/** End of a point's bar. */
function barEnd(side: 1 | -1): (point: BarPoint) => number {
  return ({ y, spread }) => y + side * spread;
}

function drawLines(chart: LineChart): unknown {
  const { series, xNames } = chart;
  const names = [...new Map(series.map(({ name, color }) => [name, color]))];
  const lines = series.map(({ name, points, labels, spreads, dashed = false }, line) => ({
    dashed,
    // Bars at one x would hide each other.
    dx: spreads ? barDistance * (line - (series.length - 1) / 2) : 0,
    points: points.map(([x, y], i) => ({ name, x, y, spread: spreads?.[i] ?? 0, label: labels?.[i] })),
  }));
  const points = lines.flatMap((line) => line.points);
  const channels = { x: 'x', y: 'y', stroke: 'name' };
  // Labels of rules stand where their line meets the frame.
  const halo = { fill: 'currentColor', stroke: 'var(--panel)', strokeWidth: 4 };
  const rules = { x: chart.rules.filter(({ axis }) => axis === 'x'), y: chart.rules.filter(({ axis }) => axis === 'y') }; // prettier-ignore
  const ruled = { strokeDasharray: '3,3', strokeOpacity: 0.7 };
  const labelled = points.filter(({ label }) => label !== undefined);
  return Plot.plot({
    width: 560,
    height: 310,
    marginTop: 38,
    marginLeft: 56,
    marginBottom: 40,
    ...(xNames && roomFor(xNames)),
    x: {
      label: chart.xLabel,
      labelArrow: 'none',
      labelAnchor: 'center',
      ticks: 6,
      nice: chart.dots,
      zero: true,
      insetRight: Math.max(0, ...lines.map(({ dx }) => dx)),
      ...(xNames && { ticks: [...xNames.keys()], tickFormat: nameIn(xNames), tickRotate: -45, nice: false }),
    },
    y: {
      label: chart.yLabel,
      labelArrow: 'none',
      grid: true,
      ticks: 6,
      ...(chart.yScale === 'log'
        ? { type: 'log', tickFormat: '~g' }
        : { zero: chart.yScale === 'zero', nice: true }),
    },
    color: {
      domain: names.map(([name]) => name),
      range: names.map(([, color]) => color),
      legend: names.length > 1,
    },
    marks: [
      ...(chart.yScale === 'zero' ? [Plot.ruleY([0], { strokeOpacity: 0.4 })] : []),
      ...lines.map(({ points, dashed, dx }) =>
        Plot.lineY(points, {
          ...channels,
          strokeWidth: 1.5,
          dx,
          ...(dashed && { strokeDasharray: '5,3' }),
        }),
      ),
      ...lines.map(({ points, dx }) =>
        Plot.ruleX(
          points.filter(({ spread }) => spread > 0),
          { x: 'x', y1: barEnd(-1), y2: barEnd(1), stroke: 'name', strokeWidth: 1.5, strokeOpacity: 0.6, dx },
        ),
      ),
      Plot.ruleX(rules.x, { x: 'at', ...ruled }),
      Plot.text(rules.x, { x: 'at', text: 'label', frameAnchor: 'top', dy: -11, ...halo }),
      Plot.ruleY(rules.y, { y: 'at', ...ruled }),
      Plot.text(rules.y, {
        y: 'at',
        text: 'label',
        frameAnchor: 'right',
        textAnchor: 'end',
        dy: -7,
        ...halo,
      }),
      ...(chart.dots
        ? lines.map(({ points, dx }) => Plot.dot(points, { x: 'x', y: 'y', fill: 'name', r: 3.5, dx }))
        : []),
      ...[false, true].map((below) =>
        Plot.text(
          labelled.filter(({ label }) => label!.below === below),
          { x: 'x', y: 'y', text: ({ label }: Labelled) => label.text, dy: below ? 12 : -11, ...halo },
        ),
      ),
      Plot.tip(
        points,
        Plot.pointer({ ...channels, fontSize: 12, ...(xNames && { format: { x: nameIn(xNames) } }) }),
      ),
    ],
  });
}

function nameIn(xNames: readonly string[]): (x: number) => string {
  return (x) => xNames[x]!;
}

/** Size of a chart whose names stand below it at 45 degrees, and margins for them. */
function roomFor(xNames: readonly string[]): object {
  const side = 5 * Math.max(...xNames.map((name) => name.length));
  return { width: 1120, height: 310 + side, marginLeft: Math.max(56, side), marginBottom: 40 + side };
}

function drawHeatMap({ columns, rows, cells, wide }: HeatMap): unknown {
  const longest = Math.max(...rows.map((row) => row.length));
  const cellHeight = wide ? 17 : 52;
  return Plot.plot({
    width: wide ? 1120 : 560,
    height: 40 + cellHeight * rows.length,
    marginTop: 30,
    marginRight: 10,
    marginBottom: 10,
    marginLeft: 16 + 6.5 * longest,
    x: { domain: columns, axis: 'top', label: null, tickSize: 0, padding: 0 },
    y: { domain: rows, label: null, tickSize: 0, padding: 0 },
    color: { type: 'identity' },
    marks: [
      Plot.cell(cells, {
        x: 'column',
        y: 'row',
        fill: ({ value }: { value: number }) => heat(value),
        inset: 1,
      }),
      Plot.text(cells, { x: 'column', y: 'row', text: ({ value }: { value: number }) => value.toFixed(2).replace(/^-(?=0\.00$)/, ''), fill: 'currentColor' }), // prettier-ignore
    ],
  });
}

/** Blue towards 1, orange towards -1, no colour at 0; light or dark as the page is. */
function heat(value: number): string {
  const share = Math.round(80 * Math.min(Math.abs(value), 1));
  return `color-mix(in oklab, var(--series-${value < 0 ? 1 : 0}) ${share}%, var(--background))`;
}
