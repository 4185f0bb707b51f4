import { formatDuration } from '../report/duration.js';
import type { AblationResult, Spread, VariantSummary } from './results.js';

export interface Table {
  readonly title: string;
  /** The first row holds the headings, the first column the names of the variants. */
  readonly rows: readonly (readonly string[])[];
}

/** What came out, a line a variant: accuracies by width, gradients, time. `±` is the standard deviation over seeds. */
export function ablationTables({ variants }: Pick<AblationResult, 'variants'>): Table[] {
  const widths = widthsOf(variants);
  const accuracies = (title: string, key: 'knn' | 'ridge'): Table => ({
    title,
    rows: [
      ['variant', 'seeds', ...widths.map(({ label }) => label.slice(1))],
      ...variants.map((variant) => [
        variant.name,
        String(variant.seeds.length),
        ...widths.map(({ label }) => {
          const found = variant.widths.find((entry) => entry.label === label);
          return found === undefined ? '-' : formatSpread(spreadInPercent(found[key]), 1);
        }),
      ]),
    ],
  });
  return [
    accuracies('kNN top-1 by width, %', 'knn'),
    accuracies('Ridge regression top-1 by width, %', 'ridge'),
    {
      title: 'Gradients of the narrowest width in the later half of training, and time of a run',
      rows: [
        ['variant', 'norm, the rest / its weights', 'cosine with the full width', 'time'],
        ...variants.map(({ name, ratio, cosine, seconds }) => [
          name,
          ratio === null ? '-' : formatSpread(ratio, 3),
          cosine === null ? '-' : formatSpread(cosine, 3),
          formatDuration(seconds.mean),
        ]),
      ],
    },
  ];
}

/** All widths that a variant has, the widest first. */
export function widthsOf(variants: readonly VariantSummary[]): { label: string; width: number }[] {
  const all = variants.flatMap(({ widths }) => widths.map(({ label, width }) => [label, width] as const));
  return [...new Map(all)].map(([label, width]) => ({ label, width })).sort((a, b) => b.width - a.width);
}

/** A share in percent. */
export function spreadInPercent({ mean, std }: Spread): Spread {
  return { mean: 100 * mean, std: std === null ? null : 100 * std };
}

function formatSpread({ mean, std }: Spread, digits: number): string {
  return std === null ? mean.toFixed(digits) : `${mean.toFixed(digits)} ± ${std.toFixed(digits)}`;
}
