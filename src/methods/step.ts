/** Images of one micro-batch. */
export interface MicroBatch {
  /** `[N, 3, S, S]` each. */
  readonly views: readonly [Float32Array, Float32Array];
  /** Classes `[N]`; null where the images have none. */
  readonly labels: Int32Array | null;
  /**
   * Where the images of view 2 stand among those of view 1 of all micro-batches of the step, `[N]`; null or absent where
   * they are the same.
   */
  readonly shuffled?: Uint32Array | null;
}

/** A tensor where the engine has it. A method hands it on and does not look inside. */
export interface Held {
  readonly shape: readonly number[];
}

/** Tensors by the name of a program's input or output. */
export type HeldTensors = Readonly<Record<string, Held>>;

/** Forward and backward of all active widths on one batch. */
export interface Pass {
  /** What a width's query program takes beside weights and the predictions of its teachers. */
  readonly inputs: (label: string) => Promise<HeldTensors> | HeldTensors;
  /** Factor of its gradients in the step's; default: the share of a micro-batch. */
  readonly gradientWeight?: number;
  /**
   * For diagnostics: of each row of a width's embeddings, `[R, D]`, the embedding that it should be close to. Absent
   * where there are none.
   */
  readonly positives?: (label: string) => Promise<Float32Array>;
}

/** What a method makes its step of. Everything takes effect in the order in which it is asked for. */
export interface StepContext {
  /** Labels of the widths that train in this step, wide first. */
  readonly labels: readonly string[];
  /** Images of a micro-batch, N. */
  readonly batchSize: number;
  /** What the loss of one micro-batch is of that of the step, of all replicas. */
  readonly share: number;
  /** Of this step, from 0, among those of the whole training. */
  readonly step: number;
  readonly steps: number;
  /** Older keys, `[K, D]`; for methods with a `queueSize`. */
  readonly queue: Held;

  /** Where one of the micro-batches that the step was given stands among those of all replicas. */
  position(microBatch: number): number;
  /** Memory of the step's own, float32: the same for the same name in every step. */
  memory(name: string, shape: readonly number[]): Held;
  /** One view of a micro-batch, `[N, 3, S, S]`, in a slot that holds it until another view takes it. */
  view(batch: MicroBatch, view: 0 | 1, slot?: number): Promise<Held>;
  /** Both views of a micro-batch as one batch, `[2N, 3, S, S]`, view 1 first; until the next are asked for. */
  bothViews(batch: MicroBatch): Promise<Held>;
  /** Classes of a micro-batch, int64 `[N]`; until the next are asked for. */
  classes(batch: MicroBatch): Promise<Held>;
  /** A copy of float32 values on the host. */
  read(tensor: Held): Promise<Float32Array>;
  /** Puts parts of values, one behind the other, into a tensor of as many elements. */
  write(tensor: Held, parts: readonly Float32Array[]): Promise<void>;
  /** Of all micro-batches of the step by their positions, given those of this replica's. */
  gather<T>(own: readonly T[]): Promise<readonly T[]>;

  /** key = momentum key + (1 - momentum) query, parameters only. */
  moveKeys(momentum: number): Promise<void>;
  /** Writes the key network's embeddings of a view into `keys`; its batch norm statistics move on. */
  embedKeys(images: Held, keys: Held): Promise<void>;
  /** Runs a program that reads parameters and statistics, or neither, and changes nothing of the state. */
  run(program: string, inputs: HeldTensors, outputs: HeldTensors): Promise<void>;
  /** Writes the embeddings of images by a model that the method brings (`Needs.models`) into `embedding`. */
  embed(model: string, images: Held, embedding: Held): Promise<void>;
  /** Adds the losses and gradients of a pass to the step's. */
  pass(pass: Pass): Promise<void>;
  /** What a width's query program has predicted in the latest pass, L2-normalised, `[R, D]`. */
  embedding(label: string): Held;
  /** Puts the keys of the step's micro-batches in the place of the oldest in the queue, where the step updates the state. */
  enqueue(keys: readonly Held[]): void;
}
