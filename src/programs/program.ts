import { elementCount } from '../onnx/model.js';
import type { Graph } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { batchNormMomentum } from '../nn/switchableBatchNorm.js';
import type { Forward } from '../nn/forward.js';
import type { Precision } from '../precision/autocast.js';
import { whereFinite } from '../precision/lossScaling.js';
import type { GraphKind } from './manifest.js';

/** A graph with its place in the set: not lowered yet, its inputs and outputs named as README.md says. */
export interface Program {
  /** File name without `.onnx`, e.g. `query.w0.25`. */
  readonly name: string;
  readonly kind: GraphKind;
  /** Label of the width, where the program is of one. */
  readonly width?: string;
  readonly graph: Graph;
  /** Inputs that are run-time scalars with a default, such as `loss_weight`. */
  readonly scalars?: readonly string[];
  /** Inputs that are a block of a parameter's gradient, and the parameter. */
  readonly inputsOf?: ReadonlyMap<string, string>;
  /** What an output is the gradient or the new value of. */
  readonly outputsOf?: ReadonlyMap<string, string>;
}

/**
 * Declares `new.<statistic>` outputs: running statistics moved towards the batch's by batch norm's momentum.
 * Returns output names with the statistic each replaces. `prefix` is the pass's. All move as one vector: a hundred
 * statistics, each for itself, would be a tenth of a graph's nodes. In float16 those stay whose batch overflowed: what
 * is not finite would never leave a running mean.
 */
export function outputStatistics(
  b: Builder,
  f: Forward,
  precision: Precision,
  prefix = '',
): [string, string][] {
  const statistics = [...f.batch.keys()];
  const batch = [...f.batch.values()];
  const sizes = statistics.map(({ shape }) => elementCount(shape));
  const shares = batch.flatMap(({ factor }, i) =>
    new Array<number>(sizes[i]!).fill(factor * batchNormMomentum),
  );
  const share = b.graph.constant(Float32Array.from(shares), [shares.length], 'float32');
  const running = b.op(
    'Concat',
    statistics.map((statistic) => f.statistic(statistic)),
    { axis: 0 },
  );
  const seen = b.op(
    'Concat',
    batch.map(({ value }) => value),
    { axis: 0 },
  );
  const kept = b.op('Mul', [running, b.scalar(1 - batchNormMomentum)]);
  const moved = b.op('Add', [kept, b.op('Mul', [seen, share])]);
  const next = precision === 'float16' ? whereFinite(b, seen, moved, running) : moved;
  const parts = b.node('Split', [next], { axis: 0, sizes });
  return statistics.map((statistic, i) => {
    const name = prefix + statistic.name;
    b.graph.output(`new.${name}`, parts[i]!);
    return [`new.${name}`, name];
  });
}
