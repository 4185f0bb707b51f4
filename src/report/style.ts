/** Colours of lines, one a width, in light and in dark. */
const seriesColors = [
  ['#2f5fd0', '#7da2ff'],
  ['#d9772b', '#f0a264'],
  ['#23936a', '#5bc99c'],
  ['#b0479b', '#e18bd0'],
  ['#c03d4e', '#f07f8d'],
  ['#2a93a8', '#64c5d9'],
  ['#7a5fc7', '#b09cf2'],
  ['#7c7330', '#c4ba6a'],
] as const;

/** The CSS colour of the line with that index. */
export function seriesColor(index: number): string {
  return `var(--series-${index % seriesColors.length})`;
}

function seriesVariables(scheme: 0 | 1): string {
  return seriesColors.map((colors, i) => `--series-${i}: ${colors[scheme]};`).join(' ');
}

/** Style of the report page, light or dark as the reader's system is. */
export const style = `
:root {
  color-scheme: light dark;
  --background: #fff; --panel: #f7f8fa; --text: #1c2128; --muted: #636c76; --line: #dde1e6;
  --alarm: #b3261e; --same: #17835a;
  ${seriesVariables(0)}
}
@media (prefers-color-scheme: dark) {
  :root {
    --background: #14171c; --panel: #1b1f26; --text: #e4e8ed; --muted: #98a2ae; --line: #333a44;
    --alarm: #f07f8d; --same: #5bc99c;
    ${seriesVariables(1)}
  }
}
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 1180px;
  background: var(--background); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { margin: 0 0 1.25rem; font-size: 1.6rem; font-weight: 600; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.15rem; font-weight: 600; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem 1.5rem; margin: 0;
  padding: 1rem 1.25rem; background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
}
.facts dt { color: var(--muted); font-size: .8rem; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.notes { margin: 1rem 0 0; padding-left: 1.2rem; color: var(--muted); font-size: .9rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin-top: 1.5rem; font-size: .9rem; }
nav a { color: var(--series-0); text-decoration: none; }
nav a:hover { text-decoration: underline; }
.sentence { margin: .75rem 0; color: var(--muted); }
.alarm { margin: .75rem 0; padding: .6rem 1rem; border: 1px solid var(--alarm); border-radius: 8px; color: var(--alarm); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .4rem .75rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 500; color: var(--muted); font-size: .85rem; }
thead tr:not(:last-child) th { border-bottom: 0; padding-bottom: 0; text-align: center; }
thead tr:not(:last-child) th:not(:empty) { box-shadow: inset 0 -1px var(--line); }
tbody th { color: var(--text); font-size: inherit; }
.scroll + .charts, .charts + .charts, .alarm + .charts { margin-top: 1.25rem; }
table.narrow { width: auto; }
td.missing { color: var(--muted); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1.25rem; }
figure.chart {
  margin: 0; padding: .9rem 1rem .5rem; min-width: 0;
  background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
}
figure.chart > figcaption { margin-bottom: .4rem; font-weight: 600; font-size: .95rem; }
figure.chart.wide { grid-column: 1 / -1; overflow-x: auto; }
figure.chart.wide > svg, figure.chart.wide > figure > svg { min-width: 44rem; }
figure.chart > figcaption p { margin: .1rem 0 0; color: var(--muted); font-weight: 400; font-size: .82rem; }
figure.chart figure { margin: 0; max-width: 100%; }
figure.chart [class*=swatches] { --swatchSize: 12px; min-height: 24px; font-size: 12px; }
figure.chart svg { --plot-background: var(--panel); font-family: inherit; font-size: 11px; }
.views { display: grid; grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr)); gap: .75rem; }
.views > div, .query { padding: .75rem; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
.views > div { display: flex; justify-content: space-evenly; }
.views figure { margin: 0; }
.views figcaption { color: var(--muted); font-size: .75rem; text-align: center; }
.views img, .query img { display: block; image-rendering: pixelated; border-radius: 4px; object-fit: cover; }
.views img { width: 64px; height: 64px; }
.queries { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: .75rem; }
.query { overflow-x: auto; }
.query h3 { display: flex; align-items: center; gap: .75rem; margin: 0 0 .5rem; font-size: .95rem; font-weight: 600; }
.query h3 img { width: 56px; height: 56px; }
.query table { width: auto; }
.query th, .query td { padding: .15rem .2rem; border: 0; }
.query td:last-child { padding-left: .5rem; color: var(--muted); font-size: .85rem; }
.query td img { width: 40px; height: 40px; margin: 3px; opacity: .75; }
.query td img.same { outline: 3px solid var(--same); opacity: 1; }
details { margin-top: 2.5rem; }
summary { cursor: pointer; font-size: 1.15rem; font-weight: 600; }
pre {
  padding: 1rem 1.25rem; overflow-x: auto; font-size: .82rem; line-height: 1.45;
  background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
}
`;
