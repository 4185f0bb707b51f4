import type { GraphEntry, Manifest } from '../programs/manifest.js';
import { Arena } from '../runtime/arena.js';
import type { Session, Tensor, Tensors } from '../runtime/session.js';
import { PieceRuns } from './pieces.js';

/** What names of inputs of a `combine` graph start with: a width's gradients, and the sums so far. */
const gradientPrefix = 'grad.';
const sumPrefix = 'sum.';

/** A run of a `combine` graph: the tensors are the same in every step. */
interface Combine {
  readonly name: string;
  readonly feeds: Tensors;
  /** Written where the sums so far are read. */
  readonly sums: Tensors;
}

/**
 * Where gradients go. The full width writes its gradients straight into the gradient arena, as do parameters of one
 * width (batch norm) and whatever trains alone. Of the other parameters each sub-network writes its block, and its
 * `combine` graph adds the blocks to what the arena holds.
 */
export class GradientSum {
  /** Gradients of a pass at full size, laid out like the parameters. */
  readonly arena: Arena;
  /** Their sum over the passes of a step; the same arena where a step has one pass. */
  readonly total: Arena;
  #passes = 0;
  #accumulation: PieceRuns | null = null;
  /** Blocks of the sub-networks, by label and name of the gradient. */
  readonly #blocks: Arena;
  readonly #combines: readonly Combine[];

  constructor(manifest: Manifest, parameters: Arena) {
    this.arena = new Arena(parameters.entries);
    const accumulates = manifest.graphs.some(({ kind }) => kind === 'accumulate');
    this.total = accumulates ? new Arena(parameters.entries) : this.arena;
    const combines = manifest.graphs.filter(({ kind }) => kind === 'combine');
    this.#blocks = new Arena(
      combines.flatMap(({ width, inputs }) =>
        inputs
          .filter(({ name }) => name.startsWith(gradientPrefix))
          .map(({ name, shape }) => ({ name: `${width}.${name}`, shape: shape as readonly number[] })),
      ),
    );
    this.#combines = combines.map((entry) => this.#combine(entry));
  }

  /** Begins a step: the total is that of the passes that follow. */
  begin(): void {
    this.#passes = 0;
  }

  /** Ends a pass: adds the widths' gradients up, and to the total. */
  async end(allWidths: boolean, sessions: ReadonlyMap<string, Session>): Promise<void> {
    if (allWidths) await this.combine(sessions);
    if (this.total !== this.arena) {
      if (this.#passes === 0) this.total.data.set(this.arena.data);
      else await this.#accumulate(sessions.get('accumulate')!);
    }
    this.#passes += 1;
  }

  async #accumulate(session: Session): Promise<void> {
    this.#accumulation ??= new PieceRuns(
      session,
      { start: 0, end: this.arena.data.length },
      { sum: this.total.data, gradient: this.arena.data },
      { new_sum: this.total.data },
    );
    await this.#accumulation.run();
  }

  /** Tensors that the gradients of a query graph are written into. */
  fetches({ outputs, width }: GraphEntry, allWidths: boolean): Tensors {
    const fetches: Record<string, Tensor> = {};
    for (const { name, of, shape } of outputs) {
      if (of === undefined || !this.arena.has(of)) continue;
      const block = `${width}.${name}`;
      const [arena, entry] = allWidths && this.#blocks.has(block) ? [this.#blocks, block] : [this.arena, of];
      fetches[name] = arena.tensor(entry, shape as readonly number[]);
    }
    return fetches;
  }

  /**
   * The gradient that a width has written for a parameter that widths share, as stored. The full width's is there
   * until `combine`, which puts the sum in its place.
   */
  block(label: string, name: string): Tensor {
    const block = `${label}.grad.${name}`;
    return this.#blocks.has(block) ? this.#blocks.tensor(block) : this.arena.tensor(name);
  }

  /** Adds the blocks of the sub-networks, one after the other, to the arena, which holds the full width's gradients. */
  async combine(sessions: ReadonlyMap<string, Session>): Promise<void> {
    for (const { name, feeds, sums } of this.#combines) await sessions.get(name)!.runInto(feeds, sums);
  }

  #combine({ name, width, inputs, outputs }: GraphEntry): Combine {
    const sums = outputs.map(
      ({ name, of, shape }) => [name, this.arena.tensor(of!, shape as readonly number[])] as const,
    );
    const feeds = inputs.map(({ name }) => [
      name,
      name.startsWith(gradientPrefix)
        ? this.#blocks.tensor(`${width}.${name}`)
        : this.arena.tensor(name.slice(sumPrefix.length)),
    ]);
    return {
      name,
      feeds: Object.fromEntries(feeds) as Tensors,
      sums: Object.fromEntries(sums),
    };
  }
}
