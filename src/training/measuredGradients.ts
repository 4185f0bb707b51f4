import { gradientDiagnostics, sharedWeights, type WidthGradient } from '../diagnostics/gradients.js';
import type { Arena } from '../engines/arena.js';
import { cut, leading } from '../graph/region.js';
import { elementCount } from '../onnx/model.js';
import type { Manifest, ParameterEntry } from '../programs/manifest.js';
import type { ReplicaGroup } from '../distributed/replicaGroup.js';
import { unpack, wholeBlocks, type ParameterLayout } from '../targets/parameterLayout.js';
import type { Diagnostics } from '../diagnostics/measured.js';
import type { GradientSum } from './gradientSum.js';

type Gradients = Pick<Diagnostics, 'gradientNorms' | 'cosines' | 'layerNorms'>;

/** The gradients of one step, for diagnostics: those of every width, summed over the passes, and their sum. */
export class MeasuredGradients {
  readonly #weights: readonly ParameterEntry[];
  /** By width label in the order of the passes, wide ones first; by parameter, row-major. */
  readonly #widths = new Map<string, Map<string, Float32Array>>();

  constructor(private readonly manifest: Manifest) {
    this.#weights = sharedWeights(manifest.parameters, manifest.labels);
  }

  /** Takes the gradients of a pass's widths, before they are added up. */
  async add(gradients: GradientSum, labels: readonly string[]): Promise<void> {
    for (const label of labels) {
      const sums = this.#widths.get(label) ?? new Map<string, Float32Array>();
      this.#widths.set(label, sums);
      for (const { name, slices, layout } of this.#weights) {
        const values = rowMajor(await gradients.block(label, name), slices[label]!, layout);
        const sum = sums.get(name);
        if (sum) for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!;
        else sums.set(name, Float32Array.from(values));
      }
    }
  }

  /** Adds those of the other replicas. */
  async sum(group: ReplicaGroup): Promise<void> {
    for (const sums of this.#widths.values()) for (const values of sums.values()) await group.sum(values);
  }

  /** `total`: the sum of all of them, laid out like the parameters. */
  async diagnostics(total: Arena): Promise<Gradients> {
    const { parameters, labels } = this.manifest;
    const entries = new Map(parameters.map((entry) => [entry.name, entry]));
    const widths = Array.from(this.#widths, ([label, sums]): WidthGradient => ({
      label,
      gradient: (name) => sums.get(name)!,
    }));
    const values = await total.readAll();
    return gradientDiagnostics(parameters, labels, widths, (name) => {
      const { shape, layout } = entries.get(name)!;
      return rowMajor(total.viewOf(name, values), shape, layout);
    });
  }
}

/** A parameter's block in row-major order, without the channels that a layout fills up whole blocks with. */
export function rowMajor(
  stored: Float32Array,
  shape: readonly number[],
  layout: ParameterLayout,
): Float32Array {
  if (layout === 'plain') return stored;
  const stuffed = wholeBlocks(shape, layout);
  if (elementCount(stuffed) !== stored.length)
    throw new Error(`${stored.length} elements in [${stuffed.join()}]`);
  return cut(unpack(stored, stuffed, layout), stuffed, leading(shape));
}
