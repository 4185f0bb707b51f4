import { formatCount } from '../formatCount.js';
import { basename } from 'node:path';
import { modelFile, plainForm } from '../export/form.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { ExportedModelRecord, WidthAccuracy } from '../evaluation/results.js';
import type { Run } from './run.js';

/** What is known of one width's encoder. */
export interface WidthSummary {
  readonly label: string;
  readonly width: number;
  readonly knn: WidthAccuracy | undefined;
  readonly probe: WidthAccuracy | undefined;
  readonly model: ExportedModelRecord | undefined;
}

export interface Column {
  readonly heading: string;
  /** The cell of a width; undefined when it is not known. */
  readonly cell: (width: WidthSummary) => string | undefined;
}

/** Columns that share a heading, which may be empty. */
export interface ColumnGroup {
  readonly heading: string;
  readonly columns: readonly Column[];
}

/** A summary of each width that the config or a result names, widest first. */
export function summarizeWidths(run: Run): WidthSummary[] {
  const results = [run.knn?.widths, run.probe?.widths, run.export?.models].map((result) => result ?? []);
  const widths = new Set([...(run.config?.widths ?? []), ...results.flat().map(({ width }) => width)]);
  return [...widths]
    .sort((a, b) => b - a)
    .map((width) => ({
      label: widthLabel(width),
      width,
      knn: run.knn?.widths.find((entry) => entry.width === width),
      probe: run.probe?.widths.find((entry) => entry.width === width),
      model: plainModel(run, width),
    }));
}

/** The model of a width without any option where there is one, else one at the run's image size, rather without head and classifier. */
function plainModel(run: Run, width: number): ExportedModelRecord | undefined {
  const models = run.export?.models.filter((model) => model.width === width && model.size === null) ?? [];
  // What a form adds comes behind the width.
  const plain = modelFile('', width, plainForm);
  return (
    models.find(({ file }) => basename(file).endsWith(plain)) ??
    models.find(({ head, classifier }) => !head && classifier === null) ??
    models[0]
  );
}

/** The summary table: accuracies are top-1, gains are percentage points over the random encoder. */
export const columnGroups: readonly ColumnGroup[] = [
  {
    heading: '',
    columns: [
      { heading: 'width', cell: ({ label }) => label.slice(1) },
      { heading: 'parameters', cell: ({ model }) => model && formatCount(model.parameters) },
      { heading: 'multiply-adds', cell: ({ model }) => model && formatCount(model.multiplyAdds) },
    ],
  },
  { heading: 'kNN top-1, %', columns: accuracyColumns('knn') },
  { heading: 'linear probe top-1, %', columns: accuracyColumns('probe') },
  {
    heading: '',
    columns: [
      { heading: 'file size', cell: ({ model }) => model && `${formatCount(model.bytes)}B` },
      { heading: 'latency', cell: ({ model }) => model && `${model.latency.toPrecision(3)} ms` },
    ],
  },
];

function accuracyColumns(kind: 'knn' | 'probe'): Column[] {
  const percent = (share: number | undefined) => (share === undefined ? undefined : (100 * share).toFixed(1));
  return [
    { heading: 'trained', cell: (width) => percent(width[kind]?.trained.top1) },
    { heading: 'random', cell: (width) => percent(width[kind]?.random?.top1) },
    {
      heading: 'gain',
      cell: (width) => {
        const { trained, random } = width[kind] ?? {};
        if (trained === undefined || random === undefined) return undefined;
        const gain = 100 * (trained.top1 - random.top1);
        return `${gain < 0 ? '' : '+'}${gain.toFixed(1)}`;
      },
    },
  ];
}
