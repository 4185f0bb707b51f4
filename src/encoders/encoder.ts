import type { Value } from '../graph/graph.js';
import type { Forward } from '../nn/forward.js';

/** A slimmable image encoder. */
export interface Encoder {
  /** Length of the feature vector at full width. */
  readonly channels: number;
  /** What the names of its last stage's parameters begin with, such as `encoder.layer4.`. */
  readonly lastStage: string;
  /** Names of the stages, such as `layer4`, in order. */
  readonly stages: readonly string[];
  /**
   * Images `[N, C, S, S]` -> features `[N, int(channels * width)]`, after global average pooling. `atStage` is given the
   * map `[N, C, H, W]` that leaves each stage.
   */
  forward(f: Forward, images: Value, atStage?: (stage: string, map: Value) => void): Value;
}
