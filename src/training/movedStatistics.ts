import { batchNormMomentum } from '../nn/switchableBatchNorm.js';
import type { GraphEntry } from '../programs/manifest.js';
import type { Arena } from '../runtime/arena.js';
import type { ReplicaGroup } from '../runtime/replicaGroup.js';

/** Running statistics of batch norm that replicas move, each by its own micro-batches (docs/method.md, replicas). */
export class MovedStatistics {
  /** At the step's begin. */
  #before = new Float32Array();
  /** Of each graph, how often it moved its statistics in this step. */
  readonly #moves = new Map<GraphEntry, number>();

  constructor(
    private readonly statistics: Arena,
    private readonly group: ReplicaGroup,
  ) {}

  begin(): void {
    this.#moves.clear();
    if (this.group.size > 1) this.#before = this.statistics.data.slice();
  }

  /** Counts a run of a graph that moves statistics. */
  move(graph: GraphEntry): void {
    this.#moves.set(graph, (this.#moves.get(graph) ?? 0) + 1);
  }

  /** Of several replicas: the statistics as if the micro-batches of all had come one after the other. */
  async join(): Promise<void> {
    const moved = await this.group.gather(this.statistics.data.slice());
    for (const [graph, moves] of this.#moves) {
      const kept = (1 - batchNormMomentum) ** moves;
      for (const { of } of graph.outputs) {
        if (of === undefined || !this.statistics.has(of)) continue;
        const joined = this.statistics.view(of);
        const first = this.statistics.offset(of);
        for (let i = 0; i < joined.length; i++) {
          const before = this.#before[first + i]!;
          joined[i] = moved.reduce((r, values) => kept * r + (values[first + i]! - kept * before), before);
        }
      }
    }
  }
}
