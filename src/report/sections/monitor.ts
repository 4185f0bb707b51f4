import { stepChart, widthSeries } from '../charts.js';
import type { History } from '../history.js';
import { chartsOr, type Section } from '../section.js';
import { slowStartRule } from './training.js';

/** kNN accuracy while training went on. */
export function monitorSection(history: History): Section {
  const { start, knn } = history;
  const chart = stepChart(
    { id: 'knn-monitor', title: 'kNN accuracy of each width', yLabel: 'top-1 accuracy, %' },
    widthSeries(start?.labels ?? [], knn, ({ step, accuracies }, label) => {
      const share = accuracies[label]?.top1;
      return [step, share === undefined ? undefined : 100 * share];
    }),
    slowStartRule(history),
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
    ],
  };
}
