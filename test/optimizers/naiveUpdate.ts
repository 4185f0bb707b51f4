import type { OptimizerConfig } from '../../src/config/optimization.js';

/** A parameter tensor and what the optimiser keeps of it, in float64. */
export interface NaiveState {
  readonly parameter: number[];
  readonly slots: Readonly<Record<string, number[]>>;
}

export interface NaiveStep {
  readonly rate: number;
  readonly decay: number;
  /** Updates of this tensor, this one included. */
  readonly t: number;
}

/** One update of a whole tensor by the formula of each optimiser's paper, in place. `weight`: of more than one dimension. */
export function naiveUpdate(
  config: OptimizerConfig,
  { parameter: p, slots }: NaiveState,
  gradient: readonly number[],
  weight: boolean,
  { rate, decay, t }: NaiveStep,
): void {
  const norm = (x: readonly number[]) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  switch (config.kind) {
    case 'sgd': {
      const v = slots['velocity']!;
      for (const i of p.keys()) {
        const g = gradient[i]! + decay * p[i]!;
        v[i] = config.momentum * v[i]! + g;
        p[i]! -= rate * (config.nesterov ? g + config.momentum * v[i] : v[i]);
      }
      return;
    }
    case 'lars': {
      const v = slots['velocity']!;
      const decayed = gradient.map((g, i) => g + decay * p[i]!);
      const [size, change] = [norm(p), norm(decayed)];
      const q = weight && size > 0 && change > 0 ? (config.trust * size) / change : 1;
      for (const i of p.keys()) {
        v[i] = config.momentum * v[i]! + q * decayed[i]!;
        p[i]! -= rate * v[i];
      }
      return;
    }
    case 'adamw': {
      const [m, s] = [slots['first_moment']!, slots['second_moment']!];
      for (const [i, g] of gradient.entries()) {
        p[i]! *= 1 - rate * decay;
        m[i] = config.beta1 * m[i]! + (1 - config.beta1) * g;
        s[i] = config.beta2 * s[i]! + (1 - config.beta2) * g * g;
        const mean = m[i] / (1 - config.beta1 ** t);
        const square = s[i] / (1 - config.beta2 ** t);
        p[i]! -= (rate * mean) / (Math.sqrt(square) + config.epsilon);
      }
      return;
    }
  }
}
