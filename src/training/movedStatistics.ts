import { batchNormMomentum } from '../nn/switchableBatchNorm.js';
import type { Arena, Span } from '../engines/arena.js';
import { elementCount } from '../onnx/model.js';
import type { GraphEntry } from '../programs/manifest.js';
import type { ReplicaGroup } from '../distributed/replicaGroup.js';

/** Statistics that a graph has moved, of an arena, and what is left of their values before the step. */
interface Moved extends Span {
  readonly kept: number;
}

/** Running statistics of batch norm that replicas move, each by its own micro-batches (docs/method.md, replicas). */
export class MovedStatistics {
  /** At the step's begin. */
  #before: Float32Array = new Float32Array();
  /** Of each graph, how often it moved its statistics in this step. */
  readonly #moves = new Map<GraphEntry, number>();

  constructor(
    private readonly statistics: Arena,
    private readonly group: ReplicaGroup,
  ) {}

  async begin(): Promise<void> {
    this.#moves.clear();
    if (this.group.size > 1) this.#before = await this.statistics.readAll();
  }

  /** Counts a run of a graph that moves statistics. */
  move(graph: GraphEntry): void {
    this.#moves.set(graph, (this.#moves.get(graph) ?? 0) + 1);
  }

  /**
   * Of several replicas: the statistics as if the micro-batches of all had come one after the other. What they exchange is
   * one sum of the statistics that the step has moved, of which each brings its part.
   */
  async join(): Promise<void> {
    const { group, statistics } = this;
    const values = await statistics.readAll();
    const moved = this.#moved();
    const sum = new Float32Array(moved.reduce((length, { start, end }) => length + end - start, 0));
    let at = 0;
    for (const { start, end, kept } of moved) {
      // What the replicas behind this one leave of its part.
      const weight = kept ** (group.size - 1 - group.rank);
      for (let i = start; i < end; i++) sum[at++] = weight * (values[i]! - kept * this.#before[i]!);
    }
    await group.sum(sum);
    at = 0;
    for (const { start, end, kept } of moved) {
      const first = kept ** group.size;
      for (let i = start; i < end; i++) values[i] = first * this.#before[i]! + sum[at++]!;
    }
    await statistics.writeAll(values);
  }

  /** The same in every replica: all run the same graphs equally often. */
  #moved(): Moved[] {
    const { statistics } = this;
    const moved: Moved[] = [];
    for (const [graph, moves] of this.#moves) {
      const kept = (1 - batchNormMomentum) ** moves;
      for (const { of } of graph.outputs) {
        if (of === undefined || !statistics.has(of)) continue;
        const start = statistics.offset(of);
        moved.push({ start, end: start + elementCount(statistics.place(of).shape), kept });
      }
    }
    return moved;
  }
}
