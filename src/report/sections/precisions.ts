import { budgetText } from '../../export/budget.js';
import type { CandidateModel, Candidates } from '../../export/candidates.js';
import { precisions } from '../../export/form.js';
import { formatCount } from '../../formatCount.js';
import { seriesOf, type LineChart } from '../charts.js';
import type { Run } from '../run.js';
import { sentence, type Block } from '../section.js';
import { seriesColor } from '../style.js';

/** Exported models of several precisions, or those that a budget chose from: what each costs and is worth. */
export function precisionBlocks({ measured: { models, choice } }: Run): Block[] {
  const several = models.some(({ precision }) => precision !== 'float32');
  if (!several && !choice) return [];
  const charts = (['knn', 'probe'] as const).flatMap((kind) => latencyChart(models, kind));
  return [
    sentence('Exported models of each width and precision:'),
    { kind: 'html', html: modelTable(models, choice?.chosen ?? null) },
    ...(choice ? [sentence(choiceText(choice))] : []),
    ...(charts.length > 0 ? [{ kind: 'charts', charts } as const] : []),
  ];
}

function choiceText({ budget, chosen }: Pick<Candidates, 'budget' | 'chosen'>): string {
  const limits = Object.fromEntries(Object.entries(budget).filter(([, limit]) => limit !== null));
  const outcome = chosen ? 'the marked model was exported' : 'no model fits';
  return `Of a budget of ${budgetText(limits)}, ${outcome}.`;
}

function latencyChart(models: readonly CandidateModel[], kind: 'knn' | 'probe'): LineChart[] {
  const series = precisions.flatMap((precision, i) => {
    const known = models.filter((model) => model.precision === precision && model.latency && model.accuracy[kind]);
    const [line] = seriesOf(
      { name: precision, color: seriesColor(i) },
      known.map(({ latency, accuracy }) => [latency!.milliseconds, 100 * accuracy[kind]!.top1]),
    );
    const labels = known.map(({ label }) => ({ text: label.slice(1), below: precision !== 'float32' }));
    return line ? [{ ...line, labels }] : [];
  }); // prettier-ignore
  if (series.length === 0) return [];
  const machines = new Set(
    models.flatMap(({ latency }) =>
      latency ? [`${latency.machine}, ${latency.provider}, threads: ${latency.threads}`] : [],
    ),
  );
  return [
    {
      kind: 'lines',
      id: `${kind}-precision`,
      title: `${kind === 'knn' ? 'kNN' : 'Linear probe'} accuracy by latency, of each precision`,
      caption: `Measured by the export, batch 1, on ${[...machines].join('; ')}.`,
      xLabel: 'median latency of one image, ms',
      yLabel: 'top-1 accuracy, %',
      series,
      dots: true,
      rules: [],
      yScale: 'linear',
    },
  ];
}

function modelTable(models: readonly CandidateModel[], chosen: Candidates['chosen']): string {
  const percent = (accuracy: { readonly top1: number } | null) =>
    accuracy ? `<td>${(100 * accuracy.top1).toFixed(1)}</td>` : missing;
  const rows = models.map(({ width, label, precision, bytes, multiplyAdds, latency, accuracy }) => {
    const isChosen = chosen?.width === width && chosen.precision === precision;
    const cells = [
      `<td>${precision}</td>`,
      percent(accuracy.knn),
      percent(accuracy.probe),
      latency ? `<td>${latency.milliseconds.toPrecision(3)} ms</td>` : missing,
      `<td>${formatCount(bytes)}B</td>`,
      `<td>${formatCount(multiplyAdds)}</td>`,
    ];
    return `<tr><th scope="row">${label.slice(1)}${isChosen ? ' ✓' : ''}</th>${cells.join('')}</tr>`;
  });
  const headings = ['width', 'precision', 'kNN, %', 'probe, %', 'latency', 'file size', 'multiply-adds'];
  const heads = headings.map((heading) => `<th scope="col">${heading}</th>`).join('');
  return `<div class="scroll"><table class="narrow">\n<tr>${heads}</tr>\n${rows.join('\n')}\n</table></div>`;
}

const missing = '<td class="missing">–</td>';
