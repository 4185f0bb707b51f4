import type { GraphEntry, Manifest } from '../programs/manifest.js';
import { Arena } from '../runtime/arena.js';
import type { Session, Tensor } from '../runtime/session.js';

/**
 * Where gradients go. A parameter of one width (batch norm), or any parameter while one width trains, has its
 * gradient written straight into the gradient arena; otherwise each width writes its block and the `combine`
 * graph sums the blocks into the arena.
 */
export class GradientSum {
  /** Gradients at full size, laid out like the parameters. */
  readonly arena: Arena;
  /** Blocks of shared parameters, by the name of their input of `combine`. */
  readonly #blocks: Arena;

  constructor(manifest: Manifest, parameters: Arena) {
    this.arena = new Arena(parameters.entries);
    const combine = manifest.graphs.find(({ kind }) => kind === 'combine');
    this.#blocks = new Arena(
      (combine?.inputs ?? []).map(({ name, shape }) => ({ name, shape: shape as readonly number[] })),
    );
  }

  /** Tensors that the gradients of a query graph are written into. */
  fetches({ outputs, width }: GraphEntry, allWidths: boolean): Record<string, Tensor> {
    const fetches: Record<string, Tensor> = {};
    for (const { name, of } of outputs) {
      if (of === undefined || !this.arena.has(of)) continue;
      const block = `${width}.${name}`;
      const shared = allWidths && this.#blocks.has(block);
      fetches[name] = shared ? this.#blocks.tensor(block) : this.arena.tensor(of);
    }
    return fetches;
  }

  /** Sums the blocks of all widths into the arena. */
  async combine(session: Session): Promise<void> {
    const feeds: Record<string, Tensor> = {};
    for (const { name } of session.entry.inputs) feeds[name] = this.#blocks.tensor(name);
    const fetches: Record<string, Tensor> = {};
    for (const { name, of } of session.entry.outputs) fetches[name] = this.arena.tensor(of!);
    await session.runInto(feeds, fetches);
  }
}
