import { SlimclrError } from '../../errors.js';
import type { Diagnostics } from '../../diagnostics/measured.js';
import type { MicroBatch } from '../../methods/step.js';
import type { WidthLoss } from '../events.js';
import type { GraphRuns } from './stepGraphs.js';

export type { MicroBatch };

export interface StepCounts {
  /** Steps done before this one. */
  readonly all: number;
  /** Those of them that trained all widths. */
  readonly narrow: number;
  /** Steps of the whole training. */
  readonly total: number;
}

export interface StepInput {
  /** As many as the config accumulates. */
  readonly batches: readonly MicroBatch[];
  readonly learningRate: number;
  /** False during the slow start: only the full width trains, with loss weight 1. */
  readonly allWidths: boolean;
  readonly steps: StepCounts;
  /** Measure gradients and features. */
  readonly diagnose?: boolean;
  /** False: compute losses and gradients and change no parameter. Statistics and keys move all the same. */
  readonly update?: boolean;
}

export interface StepResult {
  /** By width label, averaged over the micro-batches. */
  readonly losses: Readonly<Record<string, WidthLoss>>;
  readonly diagnostics?: Diagnostics;
  /** What the losses were multiplied by; absent in float32. */
  readonly lossScale?: number;
  /** A loss or a gradient overflowed: nothing was updated, no diagnostics are there, and the scale is smaller now. */
  readonly overflow?: true;
}

/** One training step of a method, as docs/method.md lists it. Changes the state in place. */
export interface Step {
  /** By the name of the graph, in the order of the manifest. */
  readonly graphs: ReadonlyMap<string, GraphRuns>;
  /** Seconds spent inside the engine's runs since the start. */
  readonly computeSeconds: number;
  /**
   * Throws a DivergenceError when a loss is not finite, before the parameters change; in float16 when an overflow leaves
   * no smaller scale to go on with.
   */
  run(input: StepInput): Promise<StepResult>;
  close(): Promise<void>;
}

/** Losses that are not finite: training cannot go on. */
export class DivergenceError extends SlimclrError {
  override name = 'DivergenceError';
}
