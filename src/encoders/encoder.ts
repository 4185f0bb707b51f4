import type { Value } from '../graph/graph.js';
import type { Forward } from '../nn/forward.js';

/** A slimmable image encoder. */
export interface Encoder {
  /** Length of the feature vector at full width. */
  readonly channels: number;
  /** What the names of its last stage's parameters begin with, such as `encoder.layer4.`. */
  readonly lastStage: string;
  /** Images `[N, 3, S, S]` -> features `[N, int(channels * width)]`, after global average pooling. */
  forward(f: Forward, images: Value): Value;
}
