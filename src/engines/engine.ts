/** Element types of an engine's memory, named as ONNX names them; float16 travels as its bits. */
export type ElementType = keyof ElementArrays;

export interface ElementArrays {
  readonly float32: Float32Array;
  readonly float64: Float64Array;
  readonly float16: Uint16Array;
  readonly int64: BigInt64Array;
  readonly bool: Uint8Array;
  readonly uint8: Uint8Array;
}

/** Elements of one type that live with an engine: in its process, on its device. */
export interface Memory<T extends ElementType = ElementType> {
  readonly type: T;
  /** Elements. */
  readonly count: number;
}

/** A memory as other threads of this process are told of it: a structured clone says the same. */
export interface SharedMemory<T extends ElementType = ElementType> {
  readonly type: T;
  readonly count: number;
  readonly address: bigint;
}

/** A tensor in an engine's memory: as many elements as `shape` holds, from element `offset` on. */
export interface Place<T extends ElementType = ElementType> {
  readonly memory: Memory<T>;
  readonly offset: number;
  readonly shape: readonly number[];
}

/** Places by the name of a graph's input or output. */
export type Places = Readonly<Record<string, Place>>;

/** A model that an engine has loaded. */
export interface LoadedGraph {
  readonly name: string;
  /** In the order of the model, those with a default after the others. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Ends the trace that a graph loaded with a `traceFolder` writes; gives its path. */
  endTrace(): Promise<string>;
  /** Frees the graph; its bindings end with it. */
  close(): Promise<void>;
}

/** Inputs and outputs of a graph tied to places, once: a run names nothing else. */
export interface Binding {
  readonly graph: LoadedGraph;
}

export interface LoadOptions {
  /** For messages and traces. */
  readonly name: string;
  /** Whether ONNX Runtime is to optimise the graph (`Target.optimization`); default `all`. */
  readonly optimization?: 'all' | 'disabled';
  /** Threads of a graph that is too small for all of the engine's, where those are the host's. */
  readonly threads?: number;
  /** Folder to which a trace of all runs is written, until `endTrace`. */
  readonly traceFolder?: string;
}

/** What an engine is and runs on. */
export interface EngineFacts {
  readonly engine: 'in-process' | 'python';
  readonly provider: 'cpu' | 'cuda' | 'webgpu';
  /** Of the ONNX Runtime that runs the graphs, e.g. `1.29.0`. */
  readonly version: string;
  /** Version of the interpreter of a Python engine, e.g. `3.11.2`. */
  readonly python?: string;
}

/**
 * Runs ONNX graphs on state that it owns. A step writes images and scalars, runs bindings that were made once, and
 * reads the few numbers that the host needs: nothing else crosses between host and device. Calls take effect in the
 * order in which they are made, whether or not they are awaited. Every method throws a SlimclrError, in one line, for
 * what the engine refuses, for memory that it lacks and for a device or worker that is gone; after the last of these
 * nothing but `close` is accepted.
 */
export interface Engine {
  readonly facts: EngineFacts;
  /** Whether a place may begin anywhere in its memory; if not, each place is the whole of a memory of its own. */
  readonly placesAnywhere: boolean;
  /** Zeros, aligned to 64 bytes or more. */
  allocate<T extends ElementType>(type: T, count: number): Memory<T>;
  /** Takes effect after all calls before; bindings to it end with it. */
  free(memory: Memory): void;
  /**
   * What engines of other threads of this process open as the same memory, while it is there; absent where the host does
   * not share it.
   */
  share?(memory: Memory): SharedMemory;
  /** Memory that an engine of another thread has shared, which stays that engine's: freed, it is only forgotten here. */
  openShared?<T extends ElementType>(shared: SharedMemory<T>): Memory<T>;
  /** `values` are not to change before it has ended. */
  write<T extends ElementType>(memory: Memory<T>, values: ElementArrays[T], offset?: number): Promise<void>;
  /**
   * Elements `offset` to `offset + count` as they are after all calls before: the memory itself where the host shares
   * it, so only good until the next run and while the memory is there, not freed or its engine closed; or else a copy.
   */
  read<T extends ElementType>(memory: Memory<T>, offset?: number, count?: number): Promise<ElementArrays[T]>;
  /** Copies the elements of one place to another of as many, in another memory, without a way through the host. */
  copy<T extends ElementType>(from: Place<T>, to: Place<T>): Promise<void>;
  /** `model`: its bytes, or the path of its file, beside which its external data are. */
  load(model: Uint8Array | string, options: LoadOptions): Promise<LoadedGraph>;
  /**
   * Ties inputs and outputs to places. An input with a default may be left out. An output may take the place of an
   * input where the graph treats every element for itself; one that is left out is not given out. Throws what the
   * caller has got wrong: a name that the graph does not have, a place outside its memory.
   */
  bind(graph: LoadedGraph, inputs: Places, outputs: Places): Binding;
  /** Runs bindings one after the other. */
  run(...bindings: readonly Binding[]): Promise<void>;
  /** Ends it and frees all that it holds. */
  close(): Promise<void>;
}
