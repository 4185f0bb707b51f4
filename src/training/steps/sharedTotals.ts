import { roundToBfloat16, type Wire } from '../../distributed/bfloat16.js';
import { Arena } from '../../engines/arena.js';
import type { ReplicaGroup } from '../../distributed/replicaGroup.js';

/** Elements that are added up at a time: a few of these stay in the cache. */
const block = 65536;

/**
 * The gradients of all replicas of a process, each in memory that the others have opened. They are added up in that of
 * the first, by every replica its part of them.
 */
export class SharedTotals {
  readonly #scratch = new Float32Array(block);

  private constructor(
    private readonly group: ReplicaGroup,
    /** By rank. */
    private readonly totals: readonly Arena[],
    private readonly wire: Wire,
  ) {}

  /** All replicas at once; the engine is one that shares memory. */
  static async open(group: ReplicaGroup, own: Arena, wire: Wire): Promise<SharedTotals> {
    const { engine, entries, memories } = own;
    const shared = await group.gather(memories.map((memory) => engine.share!(memory)));
    const totals = shared.map((ofRank, rank) => {
      if (rank === group.rank) return own;
      const opened = ofRank.map(({ count, address }) =>
        engine.openShared!({ type: 'float32', count, address }),
      );
      return new Arena(engine, entries, opened);
    });
    return new SharedTotals(group, totals, wire);
  }

  /** Where the sum is. */
  get sum(): Arena {
    return this.totals[0]!;
  }

  /** Adds up in float64, in the order of the ranks. Begins and ends when all replicas are there. */
  async add(): Promise<void> {
    const { group, sum } = this;
    await group.gather(null);
    for (const [i, memory] of sum.memories.entries()) {
      const share = Math.ceil(memory.count / group.size);
      const end = Math.min((group.rank + 1) * share, memory.count);
      for (let start = group.rank * share; start < end; start += block) {
        const count = Math.min(block, end - start);
        const parts = await Promise.all(
          this.totals.map(({ engine, memories }) => engine.read(memories[i]!, start, count)),
        );
        // As where they travel, so that the numbers are the same.
        if (this.wire === 'bfloat16') parts.forEach(roundToBfloat16);
        for (let j = 0; j < count; j++) {
          let total = 0;
          for (const part of parts) total += part[j]!;
          this.#scratch[j] = total;
        }
        if (this.wire === 'bfloat16') roundToBfloat16(this.#scratch.subarray(0, count));
        await sum.engine.write(memory, this.#scratch.subarray(0, count), start);
      }
    }
    await group.gather(null);
  }
}
