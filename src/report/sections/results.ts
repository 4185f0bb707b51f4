import { percent } from '../../evaluation/resultFiles.js';
import type { WidthAccuracy } from '../../evaluation/results.js';
import { widthLabel } from '../../nn/widthLabel.js';
import { seriesOf, type LineChart } from '../charts.js';
import { escapeHtml } from '../html.js';
import type { Run } from '../run.js';
import { chartsOr, sentence, type Block, type Section } from '../section.js';
import { seriesColor } from '../style.js';
import { precisionBlocks } from './precisions.js';
import { columnGroups, summarizeWidths, type WidthSummary } from '../summary.js';

/** The summary table, and accuracy against what a width costs. */
export function resultsSection(run: Run): Section {
  const widths = summarizeWidths(run);
  const charts = costs.flatMap((cost) =>
    evaluations.map((evaluation) => accuracyChart(widths, evaluation, cost)),
  );
  return {
    id: 'results',
    title: 'Results',
    blocks: [
      { kind: 'html', html: renderSummary(widths) },
      ...otherProbes(run),
      ...finetunes(run),
      chartsOr(
        charts,
        'Accuracy is drawn against multiply-adds and latency once there are results of `slimclr export` and of ' +
          '`slimclr knn` or `slimclr probe`.',
      ),
      ...precisionBlocks(run),
    ],
  };
}

function renderSummary(widths: readonly WidthSummary[]): string {
  const columns = columnGroups.flatMap((group) => group.columns);
  const groupHeads = columnGroups.map(
    (group) => `<th colspan="${group.columns.length}">${group.heading}</th>`,
  );
  const heads = columns.map(({ heading }) => `<th scope="col">${heading}</th>`);
  const rows = widths.map((width) => {
    const [label, ...cells] = columns.map((column) => column.cell(width));
    const data = cells.map((text) =>
      text === undefined ? '<td class="missing">–</td>' : `<td>${text}</td>`,
    );
    return `<tr><th scope="row">${label}</th>${data.join('')}</tr>`;
  });
  return `<div class="scroll"><table>
<thead>
<tr>${groupHeads.join('')}</tr>
<tr>${heads.join('')}</tr>
</thead>
<tbody>
${rows.join('\n')}
</tbody>
</table></div>`;
}

/** Linear probes of other protocols beside each other. */
function otherProbes({ otherProbes }: Run): Block[] {
  const columns = otherProbes.map((probe) => accuracyColumn(probe.protocol, probe, 'trained'));
  return accuracyTable('Linear probes of other protocols, top-1 in percent:', columns);
}

/** Each share of the labels beside each other; the random encoder where it was fine-tuned too. */
function finetunes({ finetunes }: Run): Block[] {
  const columns = finetunes.flatMap((result) => {
    const share = `${percent(result.labels)} % of the labels`;
    const trained = accuracyColumn(share, result, 'trained');
    const random = accuracyColumn(`${share}, random`, result, 'random');
    return random.accuracies.size > 0 ? [trained, random] : [trained];
  });
  return accuracyTable('Fine-tuned on few labels, top-1 in percent:', columns);
}

interface AccuracyColumn {
  readonly heading: string;
  /** By width. */
  readonly accuracies: ReadonlyMap<number, number>;
}

function accuracyColumn(
  heading: string,
  { widths }: { readonly widths: readonly WidthAccuracy[] },
  encoder: 'trained' | 'random',
): AccuracyColumn {
  const known = widths.flatMap(({ width, [encoder]: accuracy }) =>
    accuracy === undefined ? [] : [[width, accuracy.top1] as const],
  );
  return { heading, accuracies: new Map(known) };
}

/** A row for each width that a column has; nothing without a column. */
function accuracyTable(title: string, columns: readonly AccuracyColumn[]): Block[] {
  if (columns.length === 0) return [];
  const widths = [...new Set(columns.flatMap(({ accuracies }) => [...accuracies.keys()]))];
  const heads = columns.map(({ heading }) => `<th scope="col">${escapeHtml(heading)}</th>`);
  const rows = widths
    .sort((a, b) => b - a)
    .map((width) => {
      const cells = columns.map(({ accuracies }) => {
        const accuracy = accuracies.get(width);
        return accuracy === undefined
          ? '<td class="missing">–</td>'
          : `<td>${(100 * accuracy).toFixed(1)}</td>`;
      });
      return `<tr><th scope="row">${widthLabel(width).slice(1)}</th>${cells.join('')}</tr>`;
    });
  const table = `<table class="narrow">\n<tr><th scope="col">width</th>${heads.join('')}</tr>\n${rows.join('\n')}\n</table>`;
  return [sentence(title), { kind: 'html', html: `<div class="scroll">${table}</div>` }];
}

const evaluations = [
  { kind: 'knn', title: 'kNN accuracy' },
  { kind: 'probe', title: 'Linear probe accuracy' },
] as const;

const costs = [
  {
    id: 'multiply-adds',
    title: 'multiply-adds',
    label: 'multiply-adds of one image, millions',
    of: ({ model }: WidthSummary) => (model?.multiplyAdds ?? NaN) / 1e6,
  },
  {
    id: 'latency',
    title: 'latency',
    label: 'median latency of one image, ms',
    of: ({ model }: WidthSummary) => model?.latency ?? NaN,
  },
] as const;

/** The trained encoder beside the random one. */
function accuracyChart(
  widths: readonly WidthSummary[],
  { kind, title }: (typeof evaluations)[number],
  cost: (typeof costs)[number],
): LineChart | null {
  const encoders = [
    { name: 'trained', color: seriesColor(0) },
    { name: 'random', color: 'var(--muted)' },
  ] as const;
  const series = encoders.flatMap((encoder) => {
    const known = widths.filter((width) => width.model && width[kind]?.[encoder.name]);
    const [line] = seriesOf(
      encoder,
      known.map((width) => [cost.of(width), 100 * width[kind]![encoder.name]!.top1]),
    );
    // On the side where the other line is not.
    const labels = known.map(({ label, [kind]: accuracy }) => ({
      text: label.slice(1),
      below: accuracy!.trained.top1 < (accuracy!.random?.top1 ?? 0),
    }));
    return line === undefined ? [] : [encoder.name === 'trained' ? { ...line, labels } : line];
  });
  if (series.length === 0) return null;
  return {
    kind: 'lines',
    id: `${kind}-${cost.id}`,
    title: `${title} by ${cost.title}`,
    ...(cost.id === 'latency' && { caption: latencyCaption(widths) }),
    xLabel: cost.label,
    yLabel: 'top-1 accuracy, %',
    series,
    dots: true,
    rules: [],
    yScale: 'zero',
  };
}

function latencyCaption(widths: readonly WidthSummary[]): string {
  // Results of older versions do not say what they were measured on.
  const known = widths.flatMap(({ model }) => (model && model.threads !== null ? [model] : []));
  const where = new Set(known.map(({ provider, threads }) => `, ${provider}, threads: ${threads}`));
  return `Measured by the export, batch 1, onnxruntime-node${[...where].join('; ')}.`;
}
