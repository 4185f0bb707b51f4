import {
  blockedChannelsProblem,
  blockedConvProblem,
  blockedPoolProblem,
  reorderInputProblem,
  reorderOutputProblem,
  type BlockedConv,
  type BlockedPool,
  type KernelRules,
} from '../../src/targets/cpu/guard.js';
import type { ImageKind } from '../reference/inputs.js';

interface Image {
  /** Default noise; flat ones are regions of equal pixels of few levels, so that maxima and sums tie. */
  readonly images?: ImageKind;
  readonly batch: number;
  /** Height and width. */
  readonly size: readonly [number, number];
}

export interface ConvCase extends Image, BlockedConv {
  readonly op: 'Conv';
  readonly bias: boolean;
  readonly sum: boolean;
  readonly relu: boolean;
  /** alpha and beta */
  readonly hardSigmoid?: readonly [number, number];
  /** Weights that take minus one times what lies under this position of the window; default: noise. */
  readonly minusTap?: number;
}

export interface PoolCase extends Image, BlockedPool {
  readonly op: 'MaxPool';
}

export interface GlobalPoolCase extends Image {
  readonly op: 'GlobalAveragePool';
  readonly channels: number;
}

export interface ReorderCase extends Image {
  readonly op: 'ReorderInput' | 'ReorderOutput';
  readonly channels: number;
  readonly channelsLast: boolean;
}

/** One node of the domain `com.microsoft.nchwc` with the shapes it runs on. */
export type SweepCase = ConvCase | PoolCase | GlobalPoolCase | ReorderCase;

/** Why the guard refuses a case; null when it allows it. */
export function guardProblem(one: SweepCase, rules: KernelRules): string | null {
  const { block } = rules;
  switch (one.op) {
    case 'Conv':
      return blockedConvProblem(one, rules);
    case 'MaxPool':
      return blockedPoolProblem(one, block);
    case 'GlobalAveragePool':
      return blockedChannelsProblem(one.channels, block);
    case 'ReorderInput':
      return reorderInputProblem(one.channels, block);
    case 'ReorderOutput':
      return reorderOutputProblem(Math.ceil(one.channels / block) * block, one.channels, block);
  }
}
