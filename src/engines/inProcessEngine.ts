import { join } from 'node:path';
import { LostEngineError, oneLine, SlimclrError } from '../errors.js';
import { elementCount } from '../onnx/model.js';
import type {
  Binding,
  ElementArrays,
  ElementType,
  Engine,
  EngineFacts,
  LoadedGraph,
  LoadOptions,
  Memory,
  Place,
  Places,
  SharedMemory,
} from './engine.js';
import { copiedCount, notOwn } from './checks.js';
import { threadCount, type EngineOptions } from './engineOptions.js';
import { HostMemory, HostRoom } from './hostMemory.js';
import { sharesFreedMemory } from './memoryEnvironment.js';
import type { OrtApi, Pointer } from './ortApi.js';
import { ortLibrary, type OrtLibrary } from './ortLibrary.js';
import type { Room, RoomMemory } from './room.js';
import { SessionBinding, SessionGraph, type Tie } from './sessionGraph.js';
import { captureProblem } from './cuda/capture.js';
import { cudaProvider } from './cuda/cudaProvider.js';
import type { Provider } from './provider.js';
import { appendWebGpu, WebGpuRoom } from './webgpu/webGpuRoom.js';

/** Of messages on stderr: none. What ONNX Runtime refuses it also says in a status. */
const silent = 4;

const optimizationLevels = { all: 99, disabled: 0 } as const;

/** Graphs run by ONNX Runtime in this process, on state in the CPU's memory or on a device. */
export class InProcessEngine implements Engine {
  readonly facts: EngineFacts;
  readonly share?: (memory: Memory) => SharedMemory;
  readonly openShared?: <T extends ElementType>(shared: SharedMemory<T>) => Memory<T>;
  readonly #memories = new Set<RoomMemory>();
  readonly #graphs = new Set<SessionGraph>();
  #closed = false;
  #lost = false;

  private constructor(
    options: EngineOptions,
    private readonly library: OrtLibrary,
    readonly room: Room,
    private readonly createSession: CreateSession,
  ) {
    this.facts = { engine: 'in-process', provider: options.provider, version: library.version };
    if (!(room instanceof HostRoom)) return;
    this.share = (memory) => (this.#own(memory) as HostMemory).shared();
    this.openShared = (shared) => {
      this.#refuseClosed();
      const memory = HostMemory.of(room, shared);
      this.#memories.add(memory);
      return memory;
    };
  }

  /** `provider`: that of the options unless given. */
  static async open(
    options: EngineOptions,
    provider: Provider = providers[options.provider](ortLibrary(options.library), options),
  ): Promise<InProcessEngine> {
    const library = ortLibrary(options.library);
    const createSession: CreateSession = (model, load) => newSession(library, options, provider, model, load);
    const room = await provider.openRoom(
      async (model) => (await createSession(model, { name: 'copy' })).session,
    );
    return new InProcessEngine(options, library, room, createSession);
  }

  get placesAnywhere(): boolean {
    return this.room.placesAnywhere;
  }

  allocate<T extends ElementType>(type: T, count: number): Memory<T> {
    this.#refuseClosed();
    const memory = this.room.allocate(type, count);
    this.#memories.add(memory);
    return memory;
  }

  free(memory: Memory): void {
    const own = this.#own(memory);
    this.#memories.delete(own);
    void this.#after(() => own.free());
  }

  write<T extends ElementType>(memory: Memory<T>, values: ElementArrays[T], offset = 0): Promise<void> {
    const own = this.#own(memory);
    own.refuseOutside(offset, values.length);
    return this.#after(() => own.write(values, offset));
  }

  read<T extends ElementType>(
    memory: Memory<T>,
    offset = 0,
    count = memory.count - offset,
  ): Promise<ElementArrays[T]> {
    const own = this.#own(memory);
    own.refuseOutside(offset, count);
    return this.#after(() => own.read(offset, count));
  }

  copy<T extends ElementType>(from: Place<T>, to: Place<T>): Promise<void> {
    const [source, target] = [this.#own(from.memory), this.#own(to.memory)];
    const count = copiedCount(from, to);
    source.refuseOutside(from.offset, count);
    target.refuseOutside(to.offset, count);
    return this.#after(() => target.copy(source, from.offset, count, to.offset));
  }

  load(model: Uint8Array | string, options: LoadOptions): Promise<LoadedGraph> {
    this.#refuseClosed();
    return this.#after(async () => {
      const { api, version } = this.library;
      const { session, captured } = await this.createSession(model, options).catch((cause: Error) => {
        const refused = `${options.name}: ONNX Runtime ${version} does not take the graph`;
        throw new SlimclrError(`${refused} (${oneLine(cause)})`, { cause });
      });
      const allocator = api.defaultAllocator();
      const names = (count: number, name: typeof api.sessionInputName) =>
        Array.from({ length: count }, (_, i) => api.takeString(allocator, name(session, i, allocator)));
      const required = names(api.sessionInputCount(session), api.sessionInputName);
      const optional = names(api.sessionDefaultCount(session), api.sessionDefaultName);
      const graph = new SessionGraph(
        options.name,
        required,
        optional,
        names(api.sessionOutputCount(session), api.sessionOutputName),
        this.library,
        session,
        (work) => this.#after(work),
        new Set(this.room.copiedInputs?.(session, required, optional)),
        captured,
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
    graph.refuseClosed();
    graph.refuseMissing(inputs);
    const ties = (known: readonly string[], places: Places): Tie[] =>
      Object.entries(places).map(([name, { memory, offset, shape }]) => {
        if (!known.includes(name)) {
          throw new SlimclrError(`${graph.name}: no "${name}"; accepted: ${known.join(', ')}`);
        }
        const own = this.#own(memory);
        own.refusePlace(offset, elementCount(shape));
        return { name, memory: own, offset, shape };
      });
    const [read, written] = [ties(graph.inputs, inputs), ties(graph.outputs, outputs)];
    return graph.keep(new SessionBinding(graph, this.room, read, written));
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
      for (const binding of runs) await binding.run(this.library);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return this.#after(() => {});
    this.#closed = true;
    return this.#after(async () => {
      for (const graph of this.#graphs) graph.release();
      for (const memory of this.#memories) await memory.free();
      await this.room.close();
    });
  }

  /** Calls take effect in the order in which they are made; one that fails does not keep the next from it. */
  #after<T>(work: () => T | Promise<T>): Promise<T> {
    const { queue } = this.room;
    const result = queue.last.then(work).catch((error: Error) => {
      if (!this.room.isLost(error)) throw error;
      this.#lost = true;
      // Behind its place in the source, and what was checked there.
      const reason = oneLine(error)
        .replace(/^.* was false\. /, '')
        .trim();
      throw new LostEngineError(`the device is lost (${reason})`, { cause: error });
    });
    queue.last = result.catch(() => {});
    return result;
  }

  #own<T extends ElementType>(memory: Memory<T>): RoomMemory<T> {
    this.#refuseClosed();
    // What is in the set is of the room.
    if (this.#memories.has(memory as RoomMemory<T>)) return memory as RoomMemory<T>;
    throw notOwn(memory);
  }

  #refuseClosed(): void {
    if (this.#closed) throw new SlimclrError('the engine is closed');
    if (this.#lost) throw new LostEngineError('the device is lost');
  }
}

const providers: Readonly<
  Record<EngineOptions['provider'], (library: OrtLibrary, options: EngineOptions) => Provider>
> = {
  cpu: ({ api }) => ({ append: () => {}, openRoom: () => Promise.resolve(new HostRoom(api)) }),
  webgpu: (library) => ({
    append: appendWebGpu,
    openRoom: (openSession) => WebGpuRoom.open(library, openSession),
  }),
  cuda: cudaProvider,
};

interface NewSession {
  readonly session: Pointer;
  /** Whether its runs are captured as graphs of the device's. */
  readonly captured: boolean;
}

type CreateSession = (model: Uint8Array | string, load: LoadOptions) => Promise<NewSession>;

async function newSession(
  { api, environment }: OrtLibrary,
  engine: EngineOptions,
  provider: Provider,
  model: Uint8Array | string,
  load: LoadOptions,
): Promise<NewSession> {
  const open = async (captured: boolean) => {
    const options = sessionOptions(api, engine, load);
    try {
      provider.append(api, options, captured);
      const session =
        typeof model === 'string'
          ? await api.createSession(environment, model, options)
          : await api.createSessionFromArray(environment, model, model.byteLength, options);
      return { session, captured };
    } finally {
      api.releaseSessionOptions(options);
    }
  };
  if (!provider.graphs || (await captureProblem(model)) !== null) return open(false);
  return open(true).catch((error: Error) => {
    // A node that the provider has no kernel for.
    if (/graph capture/i.test(error.message)) return open(false);
    throw error;
  });
}

/**
 * Memory patterns cost far more memory than they save time; so does an arena of each session where malloc
 * itself keeps what is freed. Threads that go on spinning after a run would take the cores from the next
 * session: a step alternates between many, and is 1.7 times as fast without.
 */
function sessionOptions(
  api: OrtApi,
  engine: EngineOptions,
  { name, optimization = 'all', threads, traceFolder }: LoadOptions,
): Pointer {
  const options = api.createSessionOptions();
  api.setIntraOpNumThreads(options, threads ?? threadCount(engine));
  api.setSessionGraphOptimizationLevel(options, optimizationLevels[optimization]);
  api.setSessionLogSeverityLevel(options, silent);
  api.disableMemPattern(options);
  if (sharesFreedMemory()) api.disableCpuMemArena(options);
  api.addSessionConfigEntry(options, 'session.force_spinning_stop', '1');
  if (traceFolder !== undefined) api.enableProfiling(options, join(traceFolder, name));
  return options;
}
