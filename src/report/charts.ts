import { bucketMeans, type Point } from './downsample.js';
import { seriesColor } from './style.js';

/** A chart as data; page.ts draws it. */
export type Chart = LineChart | HeatMap;

interface Figure {
  /** Identifier of its figure in the page. */
  readonly id: string;
  readonly title: string;
  /** How to read it, where the title does not say it. */
  readonly caption?: string;
}

export interface LineChart extends Figure {
  readonly kind: 'lines';
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** Dots at the points of the series. */
  readonly dots: boolean;
  readonly rules: readonly ChartRule[];
  /** `zero` starts at 0, `log` is logarithmic. */
  readonly yScale: 'linear' | 'zero' | 'log';
  /** What the x 0, 1, ... are called, when they are no numbers; the chart then takes the whole width of the page. */
  readonly xNames?: readonly string[];
}

export interface Series {
  /** Names the line in the legend; lines of one name share its colour. */
  readonly name: string;
  /** A CSS colour; may be a variable of the page. */
  readonly color: string;
  readonly dashed?: boolean;
  readonly points: readonly Point[];
  /** Half the length of a vertical bar at each point, such as a standard deviation. */
  readonly spreads?: readonly number[];
  /** Text above or below each point. */
  readonly labels?: readonly { readonly text: string; readonly below: boolean }[];
}

/** A value that the reader should see the line against, or something that happens at an x. */
export interface ChartRule {
  readonly axis: 'x' | 'y';
  readonly at: number;
  readonly label: string;
}

/** Values from -1 to 1 in cells, which show them as numbers too. */
export interface HeatMap extends Figure {
  readonly kind: 'heat-map';
  readonly columns: readonly string[];
  readonly rows: readonly string[];
  readonly cells: readonly { readonly column: string; readonly row: string; readonly value: number }[];
  /** Takes the whole width of the page. */
  readonly wide: boolean;
}

/** Lines of at most this many points have dots: a line of one point would not be seen. */
const sparse = 15;

/** A chart of values over steps, or what `xLabel` says; null without a point. */
export function stepChart(
  figure: Figure & Pick<LineChart, 'yLabel'> & Partial<Pick<LineChart, 'xLabel' | 'yScale'>>,
  series: readonly Series[],
  rules: readonly ChartRule[],
): LineChart | null {
  if (series.length === 0) return null;
  const dots = series.every(({ points }) => points.length <= sparse);
  return { kind: 'lines', xLabel: 'step', yScale: 'linear', ...figure, series, dots, rules };
}

/** A series without the points that are not finite; none at all when no point is left. */
export function seriesOf(
  { name, color, dashed }: Pick<Series, 'name' | 'color' | 'dashed'>,
  points: readonly Point[],
): Series[] {
  const means = bucketMeans(points).map(([x, y]): Point => [round(x), round(y)]);
  return means.length > 0 ? [{ name, color, ...(dashed && { dashed }), points: means }] : [];
}

/** One series for each width label, in the colour of the width. */
export function widthSeries<T>(
  labels: readonly string[],
  events: readonly T[],
  point: (event: T, label: string) => readonly [x: number, y: number | null | undefined],
  dashed = false,
): Series[] {
  return labels.flatMap((name, i) =>
    seriesOf(
      { name, color: seriesColor(i), dashed },
      events.map((event): Point => {
        const [x, y] = point(event, name);
        return [x, y ?? NaN];
      }),
    ),
  );
}

/** More digits than a screen shows only make the page larger. */
function round(value: number): number {
  return Number(value.toPrecision(7));
}
