/**
 * Runs in the report page, not in Node: draws the charts that the page holds as data. The report inlines
 * the compiled file, so it imports types only.
 */
import type * as PlotModule from '@observablehq/plot';
import type { Chart } from './charts.js';

/** The part of the browser that is used here; the DOM's own types would be visible in all of the package. */
declare const document: { getElementById(id: string): { textContent: string; append(node: unknown): void } };
declare const Plot: typeof PlotModule;

const charts = JSON.parse(document.getElementById('charts').textContent) as Chart[];
for (const chart of charts) document.getElementById(chart.id).append(draw(chart));

function draw(chart: Chart): unknown {
  const points = chart.series.flatMap(({ name, points }) => points.map(([x, y]) => ({ name, x, y })));
  const names = chart.series.map(({ name }) => name);
  const channels = { x: 'x', y: 'y', stroke: 'name' };
  return Plot.plot({
    width: 560,
    height: 300,
    marginTop: 28,
    marginLeft: 56,
    marginBottom: 40,
    x: {
      label: chart.xLabel,
      labelArrow: 'none',
      labelAnchor: 'center',
      ticks: 6,
      nice: chart.dots,
      zero: true,
    },
    y: { label: chart.yLabel, labelArrow: 'none', grid: true, nice: true, zero: chart.fromZero, ticks: 6 },
    color: {
      domain: names,
      range: chart.series.map(({ color }) => color),
      legend: names.length > 1,
    },
    marks: [
      ...(chart.fromZero ? [Plot.ruleY([0], { strokeOpacity: 0.4 })] : []),
      Plot.lineY(points, { ...channels, strokeWidth: 1.5 }),
      ...(chart.rule === undefined
        ? []
        : [
            Plot.ruleX([chart.rule.x], { strokeDasharray: '3,3', strokeOpacity: 0.7 }),
            Plot.text([chart.rule], {
              x: 'x',
              text: 'label',
              frameAnchor: 'top',
              textAnchor: 'start',
              dx: 5,
              fill: 'currentColor',
              stroke: 'var(--panel)',
              strokeWidth: 4,
            }),
          ]),
      ...(chart.dots ? [Plot.dot(points, { x: 'x', y: 'y', fill: 'name', r: 3.5 })] : []),
      Plot.tip(points, Plot.pointer({ ...channels, fontSize: 12 })),
    ],
  });
}
