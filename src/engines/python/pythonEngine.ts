import { join } from 'node:path';
import { SlimclrError } from '../../errors.js';
import { once } from '../../once.js';
import { elementCount } from '../../onnx/model.js';
import { copiedCount, notOwn, refuseMissing, refuseOutside } from '../checks.js';
import { identityModel } from '../copyModel.js';
import { elements } from '../elements.js';
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
} from '../engine.js';
import { deviceOf, threadCount, type EngineOptions } from '../engineOptions.js';
import { cudaProviderOptions } from '../cuda/providerOptions.js';
import { loadRefusal, lostDevice, openRefusal, runRefusal } from './refusals.js';
import { WorkerProcess, type Answer } from './workerProcess.js';

/** What a request fails with, made of the worker's answer. */
type Refusal = (answer: Answer) => SlimclrError;

/** Graphs run by the onnxruntime of a Python interpreter, in a process of its own that holds the state. */
export class PythonEngine implements Engine {
  readonly placesAnywhere = true;
  readonly #memories = new Set<WorkerMemory>();
  readonly #graphs = new Set<WorkerGraph>();
  /** Of a call that nobody could await; the next one that can be throws it. */
  #unthrown: SlimclrError | undefined;
  /** Graphs that copy, by type, and their bindings by the places. */
  readonly #copiers = new Map<ElementType, number>();
  readonly #copies = new Map<string, number>();
  #ids = 0;
  #closed: Promise<void> | undefined;

  private constructor(
    readonly facts: EngineFacts,
    private readonly worker: WorkerProcess,
    /** For messages, e.g. `onnxruntime 1.23.0 of runtime.python "python3"`. */
    private readonly wheel: string,
    private readonly threads: number,
  ) {}

  /** Throws a SlimclrError where the interpreter, its onnxruntime or what its provider needs is missing. */
  static async open(options: EngineOptions): Promise<PythonEngine> {
    const { provider, python = 'python3' } = options;
    const device = deviceOf(options);
    const worker = new WorkerProcess(python);
    const answer = await worker.open({
      provider,
      device,
      providerOptions: cudaProviderOptions(options),
      // Its environment keeps what sessions free (memoryEnvironment.ts) where glibc reads it.
      arena: process.platform !== 'linux',
    });
    if (answer.error !== undefined) {
      await worker.close();
      throw openRefusal(answer, python, device);
    }
    const version = String(answer.version);
    return new PythonEngine(
      { engine: 'python', provider, version, python: String(answer.python) },
      worker,
      `onnxruntime ${version} of ${worker.name}`,
      threadCount(options),
    );
  }

  allocate<T extends ElementType>(type: T, count: number): Memory<T> {
    this.#refuseClosed();
    const memory = new WorkerMemory(this.#ids++, type, count);
    this.#memories.add(memory);
    this.#send({ op: 'allocate', memory: memory.id, size: memory.bytes }, (answer) =>
      runRefusal(answer, `no memory for ${type}[${count}], ${memory.bytes} bytes`, this.wheel),
    );
    return memory;
  }

  free(memory: Memory): void {
    const own = this.#own(memory);
    own.freed = true;
    this.#memories.delete(own);
    this.#send({ op: 'free', memory: own.id }, (answer) => runRefusal(answer, 'free', this.wheel));
  }

  async write<T extends ElementType>(memory: Memory<T>, values: ElementArrays[T], offset = 0): Promise<void> {
    const own = this.#own(memory);
    own.refuseOutside(offset, values.length);
    const request = { op: 'write', memory: own.id, start: offset * own.elementBytes };
    await this.#call(request, (answer) => runRefusal(answer, 'write', this.wheel), values);
  }

  async read<T extends ElementType>(
    memory: Memory<T>,
    offset = 0,
    count = memory.count - offset,
  ): Promise<ElementArrays[T]> {
    const own = this.#own(memory);
    own.refuseOutside(offset, count);
    const { array, bytes } = elements[memory.type];
    const request = { op: 'read', memory: own.id, start: offset * bytes, size: count * bytes };
    const { payload } = await this.#call(request, (answer) => runRefusal(answer, 'read', this.wheel));
    return new array(payload.buffer, payload.byteOffset, count);
  }

  async copy<T extends ElementType>(from: Place<T>, to: Place<T>): Promise<void> {
    const [source, target] = [this.#own(from.memory), this.#own(to.memory)];
    const count = copiedCount(from, to);
    source.refuseOutside(from.offset, count);
    target.refuseOutside(to.offset, count);
    const key = [source.id, from.offset, target.id, to.offset, count].join();
    const binding = once(this.#copies, key, () => {
      const bound = this.#ids++;
      const at = (side: string, name: string, own: WorkerMemory, offset: number) =>
        [side, name, own.id, offset * own.elementBytes, own.type, [count]] as const;
      const places = [at('bind_input', 'x', source, from.offset), at('bind_output', 'y', target, to.offset)];
      this.#send({ op: 'bind', graph: this.#copier(source.type), binding: bound, places }, (answer) =>
        runRefusal(answer, 'copy', this.wheel),
      );
      return bound;
    });
    if (count === 0) return;
    await this.#call({ op: 'run', bindings: [binding] }, (answer) => runRefusal(answer, 'copy', this.wheel));
  }

  async load(model: Uint8Array | string, options: LoadOptions): Promise<LoadedGraph> {
    this.#refuseClosed();
    const { name, optimization = 'all', traceFolder, threads = this.threads } = options;
    const id = this.#ids++;
    const request = {
      op: 'load',
      graph: id,
      threads,
      optimization,
      ...(typeof model === 'string' && { path: model }),
      ...(traceFolder !== undefined && { trace: join(traceFolder, name) }),
    };
    const answer = await this.#call(
      request,
      (refused) => loadRefusal(refused, name, this.wheel),
      typeof model === 'string' ? undefined : model,
    );
    const graph = new WorkerGraph(id, name, answer as unknown as GraphDescription, (request) =>
      this.#call(request, (refused) => runRefusal(refused, name, this.wheel)),
    );
    this.#graphs.add(graph);
    return graph;
  }

  bind(graph: LoadedGraph, inputs: Places, outputs: Places): Binding {
    this.#refuseClosed();
    if (!(graph instanceof WorkerGraph) || !this.#graphs.has(graph)) {
      throw new SlimclrError(`${graph.name}: not a graph of this engine`);
    }
    graph.refuseClosed();
    graph.refuseMissing(inputs);
    const memories: WorkerMemory[] = [];
    const tied = (side: 'bind_input' | 'bind_output', types: TypesByName, places: Places) =>
      Object.entries(places).map(([name, { memory, offset, shape }]) => {
        const own = this.#own(memory);
        graph.refuseType(types, name, memory.type);
        own.refuseOutside(offset, elementCount(shape));
        memories.push(own);
        return [side, name, own.id, offset * own.elementBytes, own.type, shape];
      });
    const places = [
      ...tied('bind_input', graph.inputTypes, inputs),
      ...tied('bind_output', graph.outputTypes, outputs),
    ];
    const binding = new WorkerBinding(this.#ids++, graph, memories);
    graph.bindings.push(binding.id);
    this.#send({ op: 'bind', graph: graph.id, binding: binding.id, places }, (answer) =>
      runRefusal(answer, graph.name, this.wheel),
    );
    return binding;
  }

  async run(...bindings: readonly Binding[]): Promise<void> {
    this.#refuseClosed();
    const runs = bindings.map((binding) => {
      if (!(binding instanceof WorkerBinding) || !this.#graphs.has(binding.graph)) {
        throw new SlimclrError(`${binding.graph.name}: not a binding of this engine`);
      }
      binding.refuseEnded();
      return binding;
    });
    const names = [...new Set(runs.map(({ graph }) => graph.name))].join(', ');
    await this.#call({ op: 'run', bindings: runs.map(({ id }) => id) }, (answer) =>
      runRefusal(answer, names, this.wheel),
    );
  }

  close(): Promise<void> {
    return (this.#closed ??= this.worker.close());
  }

  /** The graph that copies values of a type. */
  #copier(type: ElementType): number {
    return once(this.#copiers, type, () => {
      const graph = this.#ids++;
      const request = { op: 'load', graph, threads: 1, optimization: 'all' };
      this.#send(request, (answer) => loadRefusal(answer, 'copy', this.wheel), identityModel(type));
      return graph;
    });
  }

  /** A request that nobody awaits: what it fails with is thrown by the next that somebody does. */
  #send(request: Readonly<Record<string, unknown>>, refusal: Refusal, payload?: ArrayBufferView): void {
    this.worker.call(request, payload).then(
      (answer) => {
        if (answer.error !== undefined) this.#unthrown ??= this.#refused(answer, refusal);
      },
      // A worker that has gone also refuses the next call.
      () => {},
    );
  }

  async #call(
    request: Readonly<Record<string, unknown>>,
    refusal: Refusal,
    payload?: ArrayBufferView,
  ): Promise<Answer> {
    const answer = await this.worker.call(request, payload);
    const unthrown = this.#unthrown;
    this.#unthrown = undefined;
    if (unthrown) throw unthrown;
    if (answer.error !== undefined) throw this.#refused(answer, refusal);
    return answer;
  }

  #refused(answer: Answer, refusal: Refusal): SlimclrError {
    const error = refusal(answer);
    if (lostDevice(answer)) this.worker.abandon(error);
    return error;
  }

  #own(memory: Memory): WorkerMemory {
    this.#refuseClosed();
    if (memory instanceof WorkerMemory && this.#memories.has(memory as WorkerMemory))
      return memory as WorkerMemory;
    throw notOwn(memory);
  }

  #refuseClosed(): void {
    if (this.#closed) throw new SlimclrError('the engine is closed');
  }
}

class WorkerMemory<T extends ElementType = ElementType> implements Memory<T> {
  freed = false;
  readonly elementBytes: number;

  constructor(
    readonly id: number,
    readonly type: T,
    readonly count: number,
  ) {
    this.elementBytes = elements[type].bytes;
  }

  get bytes(): number {
    return this.count * this.elementBytes;
  }

  refuseOutside(offset: number, count: number): void {
    refuseOutside(this, offset, count);
  }
}

/** `[name, type, shape]`, e.g. `['x', 'tensor(float)', ['N', 3]]`. */
type Described = readonly (readonly [string, string, unknown])[];

interface GraphDescription {
  readonly inputs: Described;
  readonly defaults: Described;
  readonly outputs: Described;
}

type TypesByName = ReadonlyMap<string, string>;

/** As onnxruntime names the types of tensors in Python. */
const pythonTypes: Readonly<Record<ElementType, string>> = {
  float32: 'tensor(float)',
  float64: 'tensor(double)',
  float16: 'tensor(float16)',
  int64: 'tensor(int64)',
  bool: 'tensor(bool)',
  uint8: 'tensor(uint8)',
};

class WorkerGraph implements LoadedGraph {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly inputTypes: TypesByName;
  readonly outputTypes: TypesByName;
  readonly bindings: number[] = [];
  readonly #required: readonly string[];
  #closed = false;

  constructor(
    readonly id: number,
    readonly name: string,
    { inputs, defaults, outputs }: GraphDescription,
    private readonly call: (request: Readonly<Record<string, unknown>>) => Promise<Answer>,
  ) {
    const types = (described: Described) => new Map(described.map(([name, type]) => [name, type]));
    this.inputTypes = types([...inputs, ...defaults]);
    this.outputTypes = types(outputs);
    this.inputs = [...this.inputTypes.keys()];
    this.outputs = [...this.outputTypes.keys()];
    this.#required = inputs.map(([name]) => name);
  }

  async endTrace(): Promise<string> {
    this.refuseClosed();
    return String((await this.call({ op: 'end_trace', graph: this.id })).path);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.call({ op: 'unload', graph: this.id, bindings: this.bindings });
  }

  refuseClosed(): void {
    if (this.#closed) throw new SlimclrError(`${this.name}: the graph is closed`);
  }

  /** Whether places are there for what the graph cannot do without. */
  refuseMissing(places: Places): void {
    refuseMissing(this, this.#required, places);
  }

  refuseType(types: TypesByName, name: string, type: ElementType): void {
    const wanted = types.get(name);
    if (wanted === undefined) {
      throw new SlimclrError(`${this.name}: no "${name}"; accepted: ${[...types.keys()].join(', ')}`);
    }
    if (wanted !== pythonTypes[type]) {
      throw new SlimclrError(`${this.name}: "${name}" is a ${wanted}, its place of ${type}`);
    }
  }
}

class WorkerBinding implements Binding {
  constructor(
    readonly id: number,
    readonly graph: WorkerGraph,
    private readonly memories: readonly WorkerMemory[],
  ) {}

  refuseEnded(): void {
    this.graph.refuseClosed();
    const freed = this.memories.find((memory) => memory.freed);
    if (freed) throw new SlimclrError(`${this.graph.name}: ${freed.type}[${freed.count}] is freed`);
  }
}
