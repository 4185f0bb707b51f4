import type { WidthAccuracy } from '../evaluation/results.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { History } from '../report/history.js';
import type { AblationRun, GradientMeans, Spread, VariantSummary } from './results.js';

/** Mean and standard deviation of the sample; null without a value. */
export function spreadOf(values: readonly number[]): Spread | null {
  const mean = meanOf(values);
  if (mean === null) return null;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, std: values.length < 2 ? null : Math.sqrt(squares / (values.length - 1)) };
}

/** Summaries of the variants that have finished runs, in the order of `names`. */
export function summarize(names: readonly string[], runs: readonly AblationRun[]): VariantSummary[] {
  return names.flatMap((name) => {
    const own = runs.filter(({ variant }) => variant === name).sort((a, b) => a.seed - b.seed);
    return own.length === 0 ? [] : [summaryOf(name, own)];
  });
}

function summaryOf(name: string, runs: readonly AblationRun[]): VariantSummary {
  const top1 = (widths: readonly WidthAccuracy[], label: string) =>
    widths.find((entry) => entry.label === label)!.trained.top1;
  const gradients = (key: keyof GradientMeans) =>
    spreadOf(runs.map((run) => run.gradients[key]).filter((value) => value !== null));
  return {
    name,
    seeds: runs.map(({ seed }) => seed),
    widths: runs[0]!.knn.map(({ label, width }) => ({
      label,
      width,
      knn: spreadOf(runs.map(({ knn }) => top1(knn, label)))!,
      ridge: spreadOf(runs.map(({ ridge }) => top1(ridge, label)))!,
    })),
    ratio: gradients('ratio'),
    cosine: gradients('cosine'),
    seconds: spreadOf(runs.map(secondsOf))!,
  };
}

/** Time that runs of these variants will take: each the mean of its variant, or else of all; null of no runs. */
export function expectedSeconds(variants: readonly string[], runs: readonly AblationRun[]): number | null {
  const mean = (own: readonly AblationRun[]) => meanOf(own.map(secondsOf));
  const all = mean(runs);
  if (all === null) return null;
  return variants.reduce(
    (sum, name) => sum + (mean(runs.filter(({ variant }) => variant === name)) ?? all),
    0,
  );
}

function secondsOf({ trainingSeconds, evaluationSeconds }: AblationRun): number {
  return trainingSeconds + evaluationSeconds;
}

/** Means over what was measured of the narrowest width in the later half of the steps. */
export function gradientMeans({ start, diagnostics }: Pick<History, 'start' | 'diagnostics'>): GradientMeans {
  if (start === undefined) return { ratio: null, cosine: null };
  const { config, stepsPerEpoch } = start;
  const half = (config.epochs * stepsPerEpoch) / 2;
  const [full, narrowest] = [widthLabel(config.widths[0]!), widthLabel(config.widths.at(-1)!)];
  const measured = diagnostics.filter(({ step }) => step >= half).map((event) => event.diagnostics);
  return {
    ratio: finiteMean(measured.map(({ gradientNorms }) => gradientNorms[narrowest]?.ratio)),
    cosine: finiteMean(
      measured.map(
        ({ cosines }) => cosines.find(({ wide, narrow }) => wide === full && narrow === narrowest)?.cosine,
      ),
    ),
  };
}

/** JSON holds what is not finite as null. */
function finiteMean(values: readonly (number | null | undefined)[]): number | null {
  return meanOf(values.filter((value) => typeof value === 'number' && Number.isFinite(value)) as number[]);
}

function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
