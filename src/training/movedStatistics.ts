import { batchNormMomentum } from '../nn/switchableBatchNorm.js';
import type { Arena } from '../engines/arena.js';
import { elementCount } from '../onnx/model.js';
import type { GraphEntry } from '../programs/manifest.js';
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

  async begin(): Promise<void> {
    this.#moves.clear();
    if (this.group.size > 1) this.#before = (await this.statistics.readAll()).slice();
  }

  /** Counts a run of a graph that moves statistics. */
  move(graph: GraphEntry): void {
    this.#moves.set(graph, (this.#moves.get(graph) ?? 0) + 1);
  }

  /** Of several replicas: the statistics as if the micro-batches of all had come one after the other. */
  async join(): Promise<void> {
    const joined = (await this.statistics.readAll()).slice();
    const moved = await this.group.gather(joined.slice());
    for (const [graph, moves] of this.#moves) {
      const kept = (1 - batchNormMomentum) ** moves;
      for (const { of } of graph.outputs) {
        if (of === undefined || !this.statistics.has(of)) continue;
        const first = this.statistics.offset(of);
        const end = first + elementCount(this.statistics.place(of).shape);
        for (let i = first; i < end; i++) {
          const before = this.#before[i]!;
          joined[i] = moved.reduce((r, values) => kept * r + (values[i]! - kept * before), before);
        }
      }
    }
    await this.statistics.writeAll(joined);
  }
}
