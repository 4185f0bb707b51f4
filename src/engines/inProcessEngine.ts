import { join } from 'node:path';
import { oneLine, SlimclrError } from '../errors.js';
import type {
  Binding,
  ElementArrays,
  ElementType,
  Engine,
  EngineFacts,
  LoadedGraph,
  LoadOptions,
  Memory,
  Places,
  SharedMemory,
} from './engine.js';
import { threadCount, type EngineOptions } from './engineOptions.js';
import { HostMemory } from './hostMemory.js';
import { sharesFreedMemory } from './memoryEnvironment.js';
import type { Pointer } from './ortApi.js';
import { ortLibrary, type OrtLibrary } from './ortLibrary.js';

/** Of messages on stderr: none. What ONNX Runtime refuses it also says in a status. */
const silent = 4;

const optimizationLevels = { all: 99, disabled: 0 } as const;

/** Graphs run by ONNX Runtime in this process, on state in memory that JavaScript sees. */
export class InProcessEngine implements Engine {
  readonly facts: EngineFacts;
  readonly placesAnywhere = true;
  readonly #library: OrtLibrary;
  /** Where tensors are: the CPU's memory. */
  readonly #place: Pointer;
  readonly #memories = new Set<HostMemory>();
  readonly #graphs = new Set<SessionGraph>();
  /** Ends when all calls so far have. */
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(private readonly options: EngineOptions) {
    this.#library = ortLibrary();
    this.#place = this.#library.api.createCpuMemoryInfo(0, 0);
    const { version } = this.#library;
    this.facts = { engine: 'in-process', provider: options.provider, version };
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is to be a rejection
  static async open(options: EngineOptions): Promise<InProcessEngine> {
    return new InProcessEngine(options);
  }

  allocate<T extends ElementType>(type: T, count: number): Memory<T> {
    this.#refuseClosed();
    const memory = HostMemory.allocate(this.#library.api, type, count);
    this.#memories.add(memory);
    return memory;
  }

  free(memory: Memory): void {
    const own = this.#own(memory);
    this.#memories.delete(own);
    void this.#after(() => own.free());
  }

  share(memory: Memory): SharedMemory {
    return this.#own(memory).shared();
  }

  openShared<T extends ElementType>(shared: SharedMemory<T>): Memory<T> {
    this.#refuseClosed();
    const memory = HostMemory.of(this.#library.api, shared);
    this.#memories.add(memory);
    return memory;
  }

  write<T extends ElementType>(memory: Memory<T>, values: ElementArrays[T], offset = 0): Promise<void> {
    const place = this.#own(memory).elements(offset, values.length);
    // The array of a type takes elements of that type: both are BigInt64Array or neither.
    return this.#after(() => place.set(values as never));
  }

  read<T extends ElementType>(
    memory: Memory<T>,
    offset = 0,
    count = memory.count - offset,
  ): Promise<ElementArrays[T]> {
    const place = this.#own(memory).elements(offset, count);
    return this.#after(() => place);
  }

  load(model: Uint8Array | string, options: LoadOptions): Promise<LoadedGraph> {
    this.#refuseClosed();
    return this.#after(async () => {
      const { api, version } = this.#library;
      const session = await this.#createSession(model, options).catch((cause: Error) => {
        const refused = `${options.name}: ONNX Runtime ${version} does not take the graph`;
        throw new SlimclrError(`${refused} (${oneLine(cause)})`, { cause });
      });
      const allocator = api.defaultAllocator();
      const names = (count: number, name: typeof api.sessionInputName) =>
        Array.from({ length: count }, (_, i) => api.takeString(allocator, name(session, i, allocator)));
      const graph = new SessionGraph(
        options.name,
        names(api.sessionInputCount(session), api.sessionInputName),
        names(api.sessionDefaultCount(session), api.sessionDefaultName),
        names(api.sessionOutputCount(session), api.sessionOutputName),
        this.#library,
        session,
        (work) => this.#after(work),
      );
      this.#graphs.add(graph);
      return graph;
    });
  }

  bind(graph: LoadedGraph, inputs: Places, outputs: Places): Binding {
    this.#refuseClosed();
    if (!(graph instanceof SessionGraph) || !this.#graphs.has(graph)) {
      throw new SlimclrError(`${graph.name}: not a graph of this engine`);
    }
    graph.refuseMissing(inputs);
    const { api } = this.#library;
    const memories = new Set<HostMemory>();
    const binding = api.createIoBinding(graph.session);
    try {
      for (const [known, places, tie] of [
        [graph.inputs, inputs, api.bindInput],
        [graph.outputs, outputs, api.bindOutput],
      ] as const) {
        for (const [name, { memory, offset, shape }] of Object.entries(places)) {
          if (!known.includes(name)) {
            throw new SlimclrError(`${graph.name}: no "${name}"; accepted: ${known.join(', ')}`);
          }
          const own = this.#own(memory);
          memories.add(own);
          const value = own.tensor(this.#place, offset, shape);
          try {
            tie(binding, name, value);
          } finally {
            api.releaseValue(value);
          }
        }
      }
    } catch (error) {
      api.releaseIoBinding(binding);
      throw error;
    }
    return graph.keep(new SessionBinding(graph, binding, [...memories]));
  }

  run(...bindings: readonly Binding[]): Promise<void> {
    this.#refuseClosed();
    const runs = bindings.map((binding) => {
      if (!(binding instanceof SessionBinding) || !this.#graphs.has(binding.graph)) {
        throw new SlimclrError(`${binding.graph.name}: not a binding of this engine, or of a closed graph`);
      }
      binding.refuseFreed();
      return binding;
    });
    return this.#after(async () => {
      for (const binding of runs) await binding.run(this.#library);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return this.#after(() => {});
    this.#closed = true;
    return this.#after(() => {
      for (const graph of this.#graphs) graph.release();
      for (const memory of this.#memories) memory.free();
      this.#library.api.releaseMemoryInfo(this.#place);
    });
  }

  /** Calls take effect in the order in which they are made; one that fails does not keep the next from it. */
  #after<T>(work: () => T | Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  #own<T extends ElementType>(memory: Memory<T>): HostMemory<T> {
    this.#refuseClosed();
    if (memory instanceof HostMemory && this.#memories.has(memory as HostMemory)) {
      return memory as HostMemory<T>;
    }
    throw new SlimclrError(`${memory.type}[${memory.count}]: not a memory of this engine, or freed`);
  }

  #refuseClosed(): void {
    if (this.#closed) throw new SlimclrError('the engine is closed');
  }

  async #createSession(model: Uint8Array | string, load: LoadOptions): Promise<Pointer> {
    const { api, environment } = this.#library;
    const options = this.#sessionOptions(load);
    try {
      return typeof model === 'string'
        ? await api.createSession(environment, model, options)
        : await api.createSessionFromArray(environment, model, model.byteLength, options);
    } finally {
      api.releaseSessionOptions(options);
    }
  }

  /**
   * Memory patterns cost far more memory than they save time; so does an arena of each session where malloc
   * itself keeps what is freed. Threads that go on spinning after a run would take the cores from the next
   * session: a step alternates between many, and is 1.7 times as fast without.
   */
  #sessionOptions({ name, optimization = 'all', threads, traceFolder }: LoadOptions): Pointer {
    const { api } = this.#library;
    const options = api.createSessionOptions();
    api.setIntraOpNumThreads(options, threads ?? threadCount(this.options));
    api.setSessionGraphOptimizationLevel(options, optimizationLevels[optimization]);
    api.setSessionLogSeverityLevel(options, silent);
    api.disableMemPattern(options);
    if (sharesFreedMemory()) api.disableCpuMemArena(options);
    api.addSessionConfigEntry(options, 'session.force_spinning_stop', '1');
    if (this.options.provider === 'webgpu') api.appendProvider(options, 'WebGPU', [], [], 0);
    if (traceFolder !== undefined) api.enableProfiling(options, join(traceFolder, name));
    return options;
  }
}

/** A session, its bindings, and the order of the engine's calls. */
class SessionGraph implements LoadedGraph {
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
  ) {
    this.inputs = [...required, ...optional];
    this.#session = session;
  }

  /** Whether places are there for what the graph cannot do without. */
  refuseMissing(inputs: Places): void {
    const missing = this.required.find((name) => !(name in inputs));
    if (missing !== undefined) {
      throw new SlimclrError(
        `${this.name}: no place for "${missing}"; accepted: one for each of ${this.required.join(', ')}`,
      );
    }
  }

  get session(): Pointer {
    if (this.#session === null) throw new SlimclrError(`${this.name}: the graph is closed`);
    return this.#session;
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
    for (const { binding } of this.#bindings) api.releaseIoBinding(binding);
    api.releaseSession(this.#session);
    this.#session = null;
  }
}

class SessionBinding implements Binding {
  constructor(
    readonly graph: SessionGraph,
    readonly binding: Pointer,
    private readonly memories: readonly HostMemory[],
  ) {}

  async run({ api }: OrtLibrary): Promise<void> {
    this.refuseFreed();
    try {
      await api.runWithBinding(this.graph.session, null, this.binding);
    } catch (cause) {
      if (cause instanceof SlimclrError) throw cause;
      throw new SlimclrError(`${this.graph.name}: ${oneLine(cause as Error)}`, { cause });
    }
  }

  /** What it is bound to, or its own memory, may be gone: ONNX Runtime would write there all the same. */
  refuseFreed(): void {
    const freed = this.memories.find((memory) => memory.freed);
    if (freed)
      throw new SlimclrError(`${this.graph.name}: bound to ${freed.type}[${freed.count}], which is freed`);
  }
}
