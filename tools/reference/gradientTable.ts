import { median } from '../bench/median.js';
import type { Errors, TensorError } from './comparison.js';

/** How many times PyTorch's median and worst error of the gradients of a width ours may be. */
export const allowedRatio = 2;

type Measure = keyof TensorError;

const measures: Readonly<Record<Measure, string>> = {
  largest: 'largest difference over largest entry',
  l2: 'L2 norm of the difference over that of the gradient',
};

/** Errors of the gradients of one width, over its tensors. */
export interface ErrorSpread {
  readonly median: number;
  readonly worst: number;
}

/** By measure, then by width: `w1.00`, ..., and `sum` for the summed gradients. */
export type GradientErrors = Readonly<Record<Measure, Readonly<Record<string, ErrorSpread>>>>;

/** Median and worst error of the gradients of each width, and of their sums. */
export function gradientErrors(errors: Errors): GradientErrors {
  const groups = new Map<string, TensorError[]>();
  for (const [name, error] of errors) {
    const match = /^(?:(w[\d.]+)\.)?grad\./.exec(name);
    if (!match || !error) continue;
    const label = match[1] ?? 'sum';
    groups.set(label, [...(groups.get(label) ?? []), error]);
  }
  const spreads = (measure: Measure) =>
    Object.fromEntries(
      [...groups].map(([label, group]) => [label, spread(group.map((error) => error[measure]))]),
    );
  return { largest: spreads('largest'), l2: spreads('l2') };
}

/** How many times PyTorch's errors ours are at most, over medians and worst errors of all widths. */
export function worstRatio(ours: GradientErrors, pytorch: readonly GradientErrors[]): number {
  return Math.max(...ratios(ours, pytorch));
}

/** One table a measure: a row for each implementation, a column for each width, median and worst in each. */
export function gradientTables(
  pytorch: ReadonlyMap<string, GradientErrors>,
  ours: ReadonlyMap<string, GradientErrors>,
): string[] {
  const rows = [...pytorch, ...ours];
  const indent = Math.max(...rows.map(([name]) => name.length)) + 2;
  return (Object.keys(measures) as Measure[]).flatMap((measure) => {
    const labels = Object.keys(rows[0]![1][measure]);
    return [
      `gradients against float64, ${measures[measure]}: median, worst`,
      ' '.repeat(indent) + labels.map((label) => label.padEnd(18)).join(''),
      ...rows.map(([name, errors]) => {
        const cells = labels.map((label) => {
          const { median, worst } = errors[measure][label] ?? { median: NaN, worst: NaN };
          return `${median.toExponential(1)} ${worst.toExponential(1)}`.padEnd(18);
        });
        return name.padEnd(indent) + cells.join('');
      }),
      ...[...ours].map(([name, errors]) => {
        const largest = Math.max(...ratios(errors, [...pytorch.values()], measure));
        return `${name}: at most ${largest.toFixed(2)} times the larger error of PyTorch's float32 runs`;
      }),
    ];
  });
}

/** Our medians and worst errors divided by the larger ones of PyTorch's runs. */
function ratios(
  ours: GradientErrors,
  pytorch: readonly GradientErrors[],
  ...only: readonly Measure[]
): number[] {
  return (only.length > 0 ? only : (Object.keys(measures) as Measure[])).flatMap((measure) =>
    Object.entries(ours[measure]).flatMap(([label, spread]) =>
      (['median', 'worst'] as const).map(
        (part) => spread[part] / Math.max(...pytorch.map((errors) => errors[measure][label]?.[part] ?? NaN)),
      ),
    ),
  );
}

function spread(values: readonly number[]): ErrorSpread {
  const worst = Math.max(...values);
  // Sorting puts a NaN anywhere.
  return { median: Number.isNaN(worst) ? NaN : median(values), worst };
}
