import type { ElementArrays, ElementType, Memory } from './engine.js';
import type { Pointer } from './ortApi.js';

/** Where the memories of an in-process engine are: with the CPU, on a device. Nothing here is called while a graph runs. */
export interface Room {
  readonly placesAnywhere: boolean;
  /** Ends when all calls so far have, of every engine that may not run at the same time. */
  readonly queue: { last: Promise<unknown> };
  /** Absent where an output of a run may be what an input is; otherwise it is written beside it, and copied then. */
  readonly beside?: Beside;
  /** Whether graphs run in the JavaScript thread. */
  readonly runsHere?: boolean;
  /** Options of the runs of a binding, which the caller releases; absent, and null, where there are none. */
  runOptions?(captured: boolean): Pointer | null;
  allocate<T extends ElementType>(type: T, count: number): RoomMemory<T>;
  /**
   * Inputs of a session that it wants elsewhere, for a node that runs on the CPU: ONNX Runtime copies them when they are
   * bound. Absent where there are none.
   */
  copiedInputs?(
    session: Pointer,
    required: readonly string[],
    optional: readonly string[],
  ): readonly string[];
  /** Whether an error says that the device is gone. */
  isLost(error: Error): boolean;
  /** After all memories that it has allocated. */
  close(): void | Promise<void>;
}

export interface Beside {
  /** Memory for what lasts until the next run; `index` tells several of one size apart. */
  spare(type: ElementType, count: number, index: number): RoomMemory;
  /** Copies one memory to another of its type and count. */
  copy(from: RoomMemory, to: RoomMemory): Promise<void>;
}

export interface RoomMemory<T extends ElementType = ElementType> extends Memory<T> {
  readonly freed: boolean;
  /** Throws a SlimclrError where there are no such elements, or where no place may begin. */
  refuseOutside(offset: number, count: number): void;
  refusePlace(offset: number, count: number): void;
  write(values: ElementArrays[T], offset: number): void | Promise<void>;
  read(offset: number, count: number): ElementArrays[T] | Promise<ElementArrays[T]>;
  /** Copies `count` elements of another memory of the room, from `start` on. */
  copy(from: RoomMemory<T>, start: number, count: number, offset: number): void | Promise<void>;
  /** A value of ONNX Runtime over a place; the caller releases it. */
  tensor(offset: number, shape: readonly number[]): Pointer | Promise<Pointer>;
  free(): void | Promise<void>;
}
