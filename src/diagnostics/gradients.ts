import { cut, intersection, within } from '../graph/region.js';
import { blockOf, type ParameterEntry } from '../programs/manifest.js';
import type { Diagnostics } from './measured.js';

/** The gradient of one width's weighted loss. */
export interface WidthGradient {
  readonly label: string;
  /** Row-major, of the shape that the manifest says this width uses of the parameter. */
  readonly gradient: (name: string) => Float32Array;
}

type GradientDiagnostics = Pick<Diagnostics, 'gradientNorms' | 'cosines' | 'layerNorms'>;

/** The parameters that gradient diagnostics are about: weight tensors that all widths share. */
export function sharedWeights(
  parameters: readonly ParameterEntry[],
  labels: readonly string[],
): ParameterEntry[] {
  return parameters.filter(
    ({ role, slices }) => role === 'weight' && labels.every((label) => label in slices),
  );
}

/**
 * Imbalance and divergence of a step's gradients (docs/method.md, diagnostics), over the weights that all widths
 * share. `labels` are all widths, the full one first; `widths` those that trained, wide ones first; `total` is the sum
 * of their gradients, row-major at full shape.
 */
export function gradientDiagnostics(
  parameters: readonly ParameterEntry[],
  labels: readonly string[],
  widths: readonly WidthGradient[],
  total: (name: string) => Float32Array,
): GradientDiagnostics {
  const weights = sharedWeights(parameters, labels);
  return {
    ...norms(weights, labels, total),
    cosines: widths.flatMap((wide, i) =>
      widths.slice(i + 1).flatMap((narrow) => divergence(weights, wide, narrow) ?? []),
    ),
  };
}

function norms(
  weights: readonly ParameterEntry[],
  labels: readonly string[],
  total: (name: string) => Float32Array,
): Pick<GradientDiagnostics, 'gradientNorms' | 'layerNorms'> {
  const layerNorms: Record<string, Record<string, number>> = {};
  const regions = labels.map(() => 0);
  const rests = labels.map(() => 0);
  for (const parameter of weights) {
    const { name, shape } = parameter;
    const gradient = total(name);
    const whole = dot(gradient, gradient);
    const layer: Record<string, number> = (layerNorms[name] = {});
    for (const [i, label] of labels.entries()) {
      const part = cut(gradient, shape, blockOf(parameter, label));
      const square = dot(part, part);
      layer[label] = Math.sqrt(square);
      regions[i]! += Math.sqrt(square) / weights.length;
      rests[i]! += Math.sqrt(Math.max(0, whole - square)) / weights.length;
    }
  }
  const gradientNorms = Object.fromEntries(
    labels.map((label, i) => {
      const [region, rest] = [regions[i]!, i === 0 ? null : rests[i]!];
      return [label, { region, rest, ratio: rest === null || region === 0 ? null : rest / region }];
    }),
  );
  return { gradientNorms, layerNorms };
}

/** Cosine between the gradients of two widths on what both use; null when that is nothing. */
function divergence(
  weights: readonly ParameterEntry[],
  wide: WidthGradient,
  narrow: WidthGradient,
): GradientDiagnostics['cosines'][number] | null {
  const layers: Record<string, number> = {};
  const sums = { product: 0, a: 0, b: 0 };
  for (const parameter of weights) {
    const [ours, theirs] = [blockOf(parameter, wide.label), blockOf(parameter, narrow.label)];
    const common = intersection(ours, theirs);
    if (!common) continue;
    const a = cut(wide.gradient(parameter.name), ours.shape, within(common, ours));
    const b = cut(narrow.gradient(parameter.name), theirs.shape, within(common, theirs));
    const layer = { product: dot(a, b), a: dot(a, a), b: dot(b, b) };
    layers[parameter.name] = cosine(layer);
    sums.product += layer.product;
    sums.a += layer.a;
    sums.b += layer.b;
  }
  if (Object.keys(layers).length === 0) return null;
  return { wide: wide.label, narrow: narrow.label, cosine: cosine(sums), layers };
}

/** 0 where a gradient vanishes, which has no direction. */
function cosine({ product, a, b }: { product: number; a: number; b: number }): number {
  return a === 0 || b === 0 ? 0 : product / Math.sqrt(a) / Math.sqrt(b);
}

/** In double precision, as all numbers are. */
function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
