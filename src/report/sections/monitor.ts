import type { Config } from '../../config/schema.js';
import { judged } from '../../training/measurements.js';
import { stepChart, widthSeries, type ChartRule } from '../charts.js';
import type { History, KnnEvent } from '../history.js';
import { chartsOr, sentence, type Block, type Section } from '../section.js';
import { inEpochs, slowStartRule } from './training.js';

/** kNN accuracy while training went on: over the epochs, its best and its last. */
export function monitorSection(history: History): Section {
  const { start, knn } = history;
  const best = bestOf(history);
  const rules: ChartRule[] =
    start && best && knn.length > 1 ? [{ axis: 'x', at: epochOf(best, start), label: 'best' }] : [];
  const chart =
    start === undefined
      ? null
      : stepChart(
          {
            id: 'knn-monitor',
            title: 'kNN accuracy of each width',
            xLabel: 'epoch',
            yLabel: 'top-1 accuracy, %',
          },
          widthSeries(start.labels, knn, (event, label) => {
            const share = event.accuracies[label]?.top1;
            return [epochOf(event, start), share === undefined ? undefined : 100 * share];
          }),
          [...inEpochs(slowStartRule(history), start.stepsPerEpoch), ...rules],
        );
  return {
    id: 'monitor',
    title: 'kNN accuracy during training',
    blocks: [
      chartsOr(
        [chart],
        start?.config.monitor.kind === 'knn'
          ? 'The kNN monitor has not run yet.'
          : 'This run had no monitor; `--set monitor.kind=knn` evaluates every width while training goes on.',
      ),
      ...(start && best ? trend(history, start, best) : []),
    ],
  };
}

type Start = NonNullable<History['start']>;

/** The best measurement by the run's own criterion. */
function bestOf({ start, best }: History): KnnEvent | undefined {
  return criterionOf(start?.config) === 'full' ? best.widths[start!.labels[0]!] : best.mean;
}

function criterionOf(config: Config | undefined): 'mean' | 'full' {
  return config?.monitor.kind === 'knn' ? config.monitor.criterion : 'mean';
}

/** Epochs that were done when it was measured. */
function epochOf({ step }: Pick<KnnEvent, 'step'>, { stepsPerEpoch }: Pick<Start, 'stepsPerEpoch'>): number {
  return Number(((step + 1) / stepsPerEpoch).toFixed(2));
}

/** Which epoch was the best, and a table of what each width reached when. */
function trend({ knn, best: bests }: History, start: Start, best: KnnEvent): Block[] {
  const { labels, config } = start;
  const [first, last] = [knn[0]!, knn.at(-1)!];
  const criterion = criterionOf(config);
  const percent = (share: number) => (100 * share).toFixed(1);
  const of = criterion === 'full' ? 'of the full width' : 'on average over the widths';
  const now =
    last.step === best.step
      ? 'the last measurement'
      : `${percent(judged(criterion, last.accuracies))} % at last`;
  const images =
    config.data.validation > 0 ? ' Classified are images that training does not see (data.validation).' : '';
  const rows = labels.flatMap((label) => {
    const own = bests.widths[label];
    if (!own) return [];
    const top1 = (event: KnnEvent) => event.accuracies[label]?.top1;
    const cells = [top1(first), top1(own), undefined, top1(last)].map((share, i) => {
      if (i === 2) return `<td>${epochOf(own, start)}</td>`;
      return share === undefined ? '<td class="missing">–</td>' : `<td>${percent(share)}</td>`;
    });
    return [`<tr><th scope="row">${label.slice(1)}</th>${cells.join('')}</tr>`];
  });
  const heads = [
    'width',
    `after epoch ${epochOf(first, start)}`,
    'best',
    'of epoch',
    `after epoch ${epochOf(last, start)}`,
  ];
  const head = `<tr>${heads.map((text) => `<th scope="col">${text}</th>`).join('')}</tr>`;
  const table = `<table class="narrow">\n${head}\n${rows.join('\n')}\n</table>`;
  return [
    sentence(
      `Best after epoch ${epochOf(best, start)}: ${percent(judged(criterion, best.accuracies))} % ${of}, ${now}.${images}`,
    ),
    { kind: 'html', html: `<div class="scroll">${table}</div>` },
  ];
}
