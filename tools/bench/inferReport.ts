import { formatTable } from '../../src/cli/table.js';
import { widthLabel } from '../../src/nn/widthLabel.js';

/** Who runs a model: this package's export, PyTorch's export, both on ONNX Runtime, or PyTorch itself. */
export const sides = ['slimclr', 'torch.onnx', 'eager', 'frozen'] as const;
export type Side = (typeof sides)[number];

export interface Timing {
  readonly side: Side;
  /** What exactly was run: a version of PyTorch and a setting. */
  readonly name: string;
  /** Median of one run. */
  readonly milliseconds: number;
}

/** One model on one batch size, run by every contender in turn. */
export interface InferCase {
  readonly width: number;
  readonly batch: number;
  /** Of one image. */
  readonly multiplyAdds: number;
  readonly timings: readonly Timing[];
}

/** The fastest contender of a side, null where it has none. */
export function best({ timings }: InferCase, side: Side): Timing | null {
  const own = timings.filter((timing) => timing.side === side);
  return own.length === 0 ? null : own.reduce((a, b) => (b.milliseconds < a.milliseconds ? b : a));
}

/** This package's time over the best one of a side. */
export function ratio(result: InferCase, side: Side): number | null {
  const rival = best(result, side);
  return rival && best(result, 'slimclr')!.milliseconds / rival.milliseconds;
}

/** Every contender of a case, one a line. */
export function formatCase(result: InferCase): string {
  const own = best(result, 'slimclr')!.milliseconds;
  const rows = result.timings.map(({ name, milliseconds }) => [
    `  ${name}`,
    milliseconds.toFixed(2),
    (own / milliseconds).toFixed(2),
  ]);
  return `${caseLabel(result)}\n${formatTable([['', 'ms', 'slimclr /'], ...rows])}`;
}

/** The cases against the best of each rival side, then how much faster than the widest model each is. */
export function formatSummary(cases: readonly InferCase[]): string {
  const rivals = sides.slice(1);
  const headings = ['best of each, ms', 'slimclr', ...rivals.flatMap((side) => [side, 'ratio'])];
  const rows = cases.map((result) => [
    caseLabel(result),
    best(result, 'slimclr')!.milliseconds.toFixed(2),
    ...rivals.flatMap((side) => [
      best(result, side)?.milliseconds.toFixed(2) ?? '-',
      ratio(result, side)?.toFixed(2) ?? '-',
    ]),
  ]);
  return [formatTable([headings, ...rows]), ...speedUps(cases)].join('\n');
}

function speedUps(cases: readonly InferCase[]): string[] {
  return [...new Set(cases.map(({ batch }) => batch))].flatMap((batch) => {
    const [widest, ...narrower] = cases
      .filter((result) => result.batch === batch)
      .sort((a, b) => b.width - a.width);
    return narrower.map((result) => {
      const times = best(widest!, 'slimclr')!.milliseconds / best(result, 'slimclr')!.milliseconds;
      const fewer = widest!.multiplyAdds / result.multiplyAdds;
      return (
        `batch ${batch}: ${widthLabel(result.width)} is ${times.toFixed(1)} times as fast as ` +
        `${widthLabel(widest!.width)}, with ${fewer.toFixed(1)} times fewer multiply-adds`
      );
    });
  });
}

const caseLabel = ({ width, batch }: InferCase): string => `${widthLabel(width)} batch ${batch}`;
