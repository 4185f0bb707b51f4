import type { Region } from '../graph/region.js';

export const parameterRoles = ['weight', 'bias', 'gamma', 'beta'] as const;

/**
 * What a parameter is to its layer.
 * @useDeclaredType
 */
export type ParameterRole = (typeof parameterRoles)[number];

/** How a parameter starts, always over its full shape (docs/method.md, slimmable encoder, init). */
export type Initialization =
  /** Normal with std sqrt(2 / fan_out), fan_out = out * kh * kw (He et al., 2015, fan_out, ReLU gain). */
  | { readonly kind: 'kaiming-normal' }
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'constant'; readonly value: number };

/** A trainable tensor at full width. A width uses a block of it, or does not use it at all. */
export interface Parameter {
  /** Dotted, e.g. `encoder.layer1.0.conv1.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: ParameterRole;
  readonly initializer: Initialization;
  /** The block that a width uses, null where it does not use the parameter. */
  readonly slice: (width: number) => Region | null;
}

/** A running statistic of one width's batch norm. */
export interface Statistic {
  readonly name: string;
  readonly shape: readonly number[];
  readonly width: number;
  /** 0 for a mean, 1 for a variance. */
  readonly initial: number;
}

/** Collects what layers declare, in order, under dotted names. Declared once; every graph refers to it. */
export class Declarations {
  readonly parameters: Parameter[] = [];
  readonly statistics: Statistic[] = [];

  parameter(parameter: Parameter): Parameter {
    this.parameters.push(parameter);
    return parameter;
  }

  statistic(statistic: Statistic): Statistic {
    this.statistics.push(statistic);
    return statistic;
  }
}
