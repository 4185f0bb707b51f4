import { once } from '../once.js';
import type { GraphEntry, Manifest } from '../programs/manifest.js';
import { Arena } from '../runtime/arena.js';
import type { Session, Tensor, Tensors } from '../runtime/session.js';
import { inPieces } from './pieces.js';

/**
 * Where gradients go. The full width writes its gradients straight into the gradient arena, as do parameters of one
 * width (batch norm) and whatever trains alone. Of the other parameters each sub-network writes its block, and the
 * `combine` graph adds the blocks to what the arena holds.
 */
export class GradientSum {
  /** Gradients of a pass at full size, laid out like the parameters. */
  readonly arena: Arena;
  /** Their sum over the passes of a step; the same arena where a step has one pass. */
  readonly total: Arena;
  #passes = 0;
  /** What `fetches` gave, by width and whether all train: the same in every step. */
  readonly #fetches = new Map<string, Tensors>();
  /** Blocks of the sub-networks, by the name of their input of `combine`. */
  readonly #blocks: Arena;
  /** What names of the full width's gradients start with among the inputs of `combine`. */
  readonly #full: string;

  constructor(manifest: Manifest, parameters: Arena) {
    this.arena = new Arena(parameters.entries);
    const accumulates = manifest.graphs.some(({ kind }) => kind === 'accumulate');
    this.total = accumulates ? new Arena(parameters.entries) : this.arena;
    const combine = manifest.graphs.find(({ kind }) => kind === 'combine');
    this.#full = `${manifest.labels[0]}.`;
    this.#blocks = new Arena(
      (combine?.inputs ?? [])
        .filter(({ name }) => !name.startsWith(this.#full))
        .map(({ name, shape }) => ({ name, shape: shape as readonly number[] })),
    );
  }

  /** Begins a step: the total is that of the passes that follow. */
  begin(): void {
    this.#passes = 0;
  }

  /** Ends a pass: adds the widths' gradients up, and to the total. */
  async end(allWidths: boolean, sessions: ReadonlyMap<string, Session>): Promise<void> {
    const combine = sessions.get('combine');
    if (allWidths && combine) await this.combine(combine);
    if (this.total !== this.arena) {
      if (this.#passes === 0) this.total.data.set(this.arena.data);
      else await this.#accumulate(sessions.get('accumulate')!);
    }
    this.#passes += 1;
  }

  async #accumulate(session: Session): Promise<void> {
    const range = { start: 0, end: this.arena.data.length };
    for (const [sum, gradient] of inPieces(range, this.total.data, this.arena.data)) {
      await session.runInto({ sum: sum!, gradient: gradient! }, { new_sum: sum! });
    }
  }

  /** Tensors that the gradients of a query graph are written into. */
  fetches({ outputs, width }: GraphEntry, allWidths: boolean): Tensors {
    return once(this.#fetches, `${width} ${allWidths}`, () => {
      const fetches: Record<string, Tensor> = {};
      for (const { name, of, shape } of outputs) {
        if (of === undefined || !this.arena.has(of)) continue;
        const block = `${width}.${name}`;
        const [arena, entry] =
          allWidths && this.#blocks.has(block) ? [this.#blocks, block] : [this.arena, of];
        fetches[name] = arena.tensor(entry, shape as readonly number[]);
      }
      return fetches;
    });
  }

  /**
   * The gradient that a width has written for a parameter that widths share, as stored. The full width's is there
   * until `combine`, which puts the sum in its place.
   */
  block(label: string, name: string): Tensor {
    const block = `${label}.grad.${name}`;
    return this.#blocks.has(block) ? this.#blocks.tensor(block) : this.arena.tensor(name);
  }

  /**
   * Adds the blocks of the sub-networks to the arena, which holds the full width's gradients. These come last in
   * every sum and whole, so that the graph may write over them.
   */
  async combine(session: Session): Promise<void> {
    const feeds: Record<string, Tensor> = {};
    const sums: Record<string, Tensor> = {};
    for (const { name } of this.#blocks.entries) feeds[name] = this.#blocks.tensor(name);
    for (const { name, of } of session.entry.outputs) {
      feeds[this.#full + name] = sums[name] = this.arena.tensor(of!);
    }
    await session.runInto(feeds, sums);
  }
}
