import { Arena } from '../engines/arena.js';
import type { Place, Places } from '../engines/engine.js';
import { elementCount } from '../onnx/model.js';
import type { GraphEntry, Manifest } from '../programs/manifest.js';
import { prefixes } from '../programs/names.js';
import { pieceRuns } from './pieces.js';
import type { StepGraphs, StepRun } from './steps/stepGraphs.js';

/**
 * Where gradients go. The full width writes its gradients straight into the gradient arena, as do parameters of one
 * width (batch norm) and whatever trains alone. Of the other parameters each sub-network writes its block, and its
 * `combine` graph adds the blocks to what the arena holds. The first pass of a step does so in the arena of the total
 * itself, later ones beside it.
 */
export class GradientSum {
  /** The sum over the passes of a step at full size, laid out like the parameters. */
  readonly total: Arena;
  /** That of a pass after the first; null where a step has one pass. */
  readonly #later: Arena | null;
  #passes = 0;
  /** Blocks of the sub-networks, by label and name of the gradient. */
  readonly #blocks: Arena;
  readonly #combines: readonly GraphEntry[];
  /** What ends a pass, by where its gradients are. */
  readonly #ends = new Map<
    Arena,
    { readonly combines: readonly StepRun[]; readonly sums: readonly StepRun[] }
  >();

  constructor(
    manifest: Manifest,
    parameters: Arena,
    /** Of which `combine` and `accumulate` are run. */
    private readonly graphs: StepGraphs,
  ) {
    const { engine, entries } = parameters;
    this.total = new Arena(engine, entries);
    const accumulates = manifest.graphs.some(({ kind }) => kind === 'accumulate');
    this.#later = accumulates ? new Arena(engine, entries) : null;
    this.#combines = manifest.graphs.filter(({ kind }) => kind === 'combine');
    this.#blocks = new Arena(
      engine,
      this.#combines.flatMap(({ width, inputs }) =>
        inputs
          .filter(({ name }) => name.startsWith(prefixes.gradient))
          .map(({ name, shape }) => ({ name: `${width}.${name}`, shape: shape as readonly number[] })),
      ),
    );
  }

  /** Gradients of the pass that is next, or whose widths have run and that has not ended. */
  get arena(): Arena {
    return this.#passes === 0 ? this.total : this.#later!;
  }

  /** Begins a step: the total is that of the passes that follow. */
  begin(): void {
    this.#passes = 0;
  }

  /** Ends a pass: the runs that add the widths' gradients up, and to the total. */
  end(allWidths: boolean): readonly StepRun[] {
    const { arena } = this;
    this.#passes += 1;
    let ends = this.#ends.get(arena);
    if (!ends) {
      ends = {
        combines: this.#combines.map((entry) => this.#combine(entry, arena)),
        sums: arena === this.total ? [] : this.#accumulate(arena),
      };
      this.#ends.set(arena, ends);
    }
    return allWidths ? [...ends.combines, ...ends.sums] : ends.sums;
  }

  /** Where the gradients of a query graph are written in the pass that is next. */
  outputs({ outputs, width }: GraphEntry, allWidths: boolean): Places {
    const places: Record<string, Place> = {};
    for (const { name, of, shape } of outputs) {
      if (of === undefined || !this.total.has(of)) continue;
      const block = `${width}.${name}`;
      const [arena, entry] = allWidths && this.#blocks.has(block) ? [this.#blocks, block] : [this.arena, of];
      places[name] = arena.place(entry, shape as readonly number[]);
    }
    return places;
  }

  /**
   * The gradient that a width has written for a parameter that widths share, as stored. The full width's is there
   * until the runs of `end`, which put the sum in its place. Good until the next run.
   */
  block(label: string, name: string): Promise<Float32Array> {
    const { memory, offset, shape } = this.blockPlace(label, name);
    return this.total.engine.read(memory, offset, elementCount(shape));
  }

  /** Where that is. */
  blockPlace(label: string, name: string): Place<'float32'> {
    const block = `${label}.${prefixes.gradient}${name}`;
    return this.#blocks.has(block) ? this.#blocks.place(block) : this.arena.place(name);
  }

  #accumulate(arena: Arena): StepRun[] {
    return pieceRuns(
      this.graphs,
      'accumulate',
      { start: 0, end: arena.length },
      { inputs: { sum: this.total, gradient: arena }, outputs: { new_sum: this.total } },
    );
  }

  /** Adds the blocks of a sub-network to an arena, which begins as the full width's gradients. */
  #combine({ name, width, inputs, outputs }: GraphEntry, arena: Arena): StepRun {
    const sums = outputs.map(
      ({ name, of, shape }) => [name, arena.place(of!, shape as readonly number[])] as const,
    );
    const feeds = inputs.map(
      ({ name }) =>
        [
          name,
          name.startsWith(prefixes.gradient)
            ? this.#blocks.place(`${width}.${name}`)
            : arena.place(name.slice(prefixes.sum.length)),
        ] as const,
    );
    return this.graphs.bind(name, Object.fromEntries(feeds), Object.fromEntries(sums));
  }
}
