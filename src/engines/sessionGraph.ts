import { setImmediate } from 'node:timers/promises';
import { oneLine, SlimclrError } from '../errors.js';
import { refuseMissing } from './checks.js';
import { writesWhatItReads } from './cuda/capture.js';
import type { Binding, LoadedGraph, Places } from './engine.js';
import type { Pointer } from './ortApi.js';
import type { OrtLibrary } from './ortLibrary.js';
import type { Room, RoomMemory } from './room.js';

/** An input or output, and where it is. */
export interface Tie {
  readonly name: string;
  readonly memory: RoomMemory;
  readonly offset: number;
  readonly shape: readonly number[];
}

/** A session, its bindings, and the order of the engine's calls. */
export class SessionGraph implements LoadedGraph {
  readonly inputs: readonly string[];
  readonly #bindings: SessionBinding[] = [];
  #session: Pointer | null;

  constructor(
    readonly name: string,
    /** Inputs without a default. */
    private readonly required: readonly string[],
    optional: readonly string[],
    readonly outputs: readonly string[],
    private readonly library: OrtLibrary,
    session: Pointer,
    private readonly after: <T>(work: () => T) => Promise<T>,
    /** Inputs that ONNX Runtime copies from their place when they are bound, not when a graph runs. */
    readonly copied: ReadonlySet<string>,
    /** Whether its runs are captured. */
    readonly captured: boolean,
  ) {
    this.inputs = [...required, ...optional];
    this.#session = session;
  }

  /** Whether places are there for what the graph cannot do without. */
  refuseMissing(inputs: Places): void {
    refuseMissing(this, this.required, inputs);
  }

  refuseClosed(): void {
    if (this.#session === null) throw new SlimclrError(`${this.name}: the graph is closed`);
  }

  get session(): Pointer {
    this.refuseClosed();
    return this.#session!;
  }

  keep(binding: SessionBinding): SessionBinding {
    this.#bindings.push(binding);
    return binding;
  }

  endTrace(): Promise<string> {
    const { api } = this.library;
    return this.after(() => {
      const allocator = api.defaultAllocator();
      return api.takeString(allocator, api.sessionEndProfiling(this.session, allocator));
    });
  }

  close(): Promise<void> {
    return this.after(() => this.release());
  }

  /** Once, whoever asks: `close`, or the engine's. */
  release(): void {
    if (this.#session === null) return;
    const { api } = this.library;
    for (const binding of this.#bindings) binding.release(api);
    api.releaseSession(this.#session);
    this.#session = null;
  }
}

/**
 * Milliseconds of a run that is done in the JavaScript thread. To another and back it is 0.03 ms longer where a core is free,
 * and as long as a turn of somebody else's where none is: a step has a hundred runs of this size, and few that are longer.
 */
const quick = 200;
/** Milliseconds after which other work of the thread, such as that of the image loader, has its turn before a run there. */
const patience = 20;
/** When other work of this thread had its turn last. */
let lastTurn = 0;

async function othersTurn(): Promise<void> {
  if (performance.now() - lastTurn < patience) return;
  await setImmediate();
  lastTurn = performance.now();
}

/** A place tied once, when it runs first. */
export class SessionBinding implements Binding {
  #binding: Pointer | null = null;
  #options: Pointer | null = null;
  readonly #memories: readonly RoomMemory[];
  /** What a run writes beside an input that it reads, and the memory that is to have it then. */
  readonly #copies: { readonly from: RoomMemory; readonly to: RoomMemory }[] = [];

  readonly #copied: readonly Tie[];
  /** Whether the last run was. */
  #isQuick = false;

  constructor(
    readonly graph: SessionGraph,
    private readonly room: Room,
    private readonly inputs: readonly Tie[],
    private readonly outputs: readonly Tie[],
  ) {
    this.#copied = inputs.filter(({ name }) => graph.copied.has(name));
    this.#memories = [...new Set([...inputs, ...outputs].map(({ memory }) => memory))];
  }

  async run(library: OrtLibrary): Promise<void> {
    this.refuseFreed();
    try {
      if (this.#binding === null) this.#binding = await this.#tied(library);
      else for (const input of this.#copied) await this.#tie(library, this.#binding, input);
      const { api } = library;
      const here = this.room.runsHere || this.#isQuick;
      if (here) await othersTurn();
      const start = performance.now();
      if (here) {
        api.runWithBindingHere(this.graph.session, this.#options, this.#binding);
      } else {
        await api.runWithBinding(this.graph.session, this.#options, this.#binding);
      }
      this.#isQuick = performance.now() - start < quick;
      for (const { from, to } of this.#copies) await this.room.beside!.copy(from, to);
    } catch (cause) {
      if (cause instanceof SlimclrError) throw cause;
      throw new SlimclrError(`${this.graph.name}: ${oneLine(cause as Error)}`, { cause });
    }
  }

  /** What it is bound to, or its own memory, may be gone: ONNX Runtime would write there all the same. */
  refuseFreed(): void {
    const freed = this.#memories.find((memory) => memory.freed);
    if (freed)
      throw new SlimclrError(`${this.graph.name}: bound to ${freed.type}[${freed.count}], which is freed`);
  }

  release({ releaseIoBinding, releaseRunOptions }: OrtLibrary['api']): void {
    if (this.#binding !== null) releaseIoBinding(this.#binding);
    if (this.#options !== null) releaseRunOptions(this.#options);
    this.#binding = this.#options = null;
  }

  async #tied(library: OrtLibrary): Promise<Pointer> {
    const { api } = library;
    const binding = api.createIoBinding(this.graph.session);
    try {
      this.#copies.length = 0;
      for (const input of this.inputs) await this.#tie(library, binding, input);
      for (const output of this.outputs) await this.#tie(library, binding, this.#apart(output), 'bindOutput');
    } catch (error) {
      api.releaseIoBinding(binding);
      throw error;
    }
    const captured = this.graph.captured && !writesWhatItReads(this.inputs, this.outputs);
    this.#options ??= this.room.runOptions?.(captured) ?? null;
    return binding;
  }

  async #tie(
    { api }: OrtLibrary,
    binding: Pointer,
    { name, memory, offset, shape }: Tie,
    side: 'bindInput' | 'bindOutput' = 'bindInput',
  ): Promise<void> {
    const value = await memory.tensor(offset, shape);
    try {
      api[side](binding, name, value);
    } finally {
      api.releaseValue(value);
    }
  }

  /** The output, or what stands for it where it may not be what an input is. */
  #apart(output: Tie): Tie {
    const to = output.memory;
    const { beside } = this.room;
    if (!beside || this.inputs.every(({ memory }) => memory !== to)) return output;
    const taken = this.#copies.filter(({ to: { type, count } }) => type === to.type && count === to.count);
    const from = beside.spare(to.type, to.count, taken.length);
    this.#copies.push({ from, to });
    return { ...output, memory: from };
  }
}
