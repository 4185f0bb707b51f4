import { elementCount } from '../onnx/model.js';
import { once } from '../once.js';
import { refuseOutside } from './checks.js';
import { identityModel } from './copyModel.js';
import { elements } from './elements.js';
import type { ElementArrays, ElementType } from './engine.js';
import { allocated, HostRoom, type HostMemory } from './hostMemory.js';
import type { OrtApi, Pointer } from './ortApi.js';
import type { OrtLibrary } from './ortLibrary.js';
import type { OpenSession } from './provider.js';
import type { Room, RoomMemory } from './room.js';

export interface DeviceRoomOptions {
  /** Of its memory, as ONNX Runtime calls it, e.g. `Cuda`. */
  readonly name: string;
  readonly device: number;
  /** Whether runs are captured as graphs of the device's. */
  readonly graphs: boolean;
  isLost(error: Error): boolean;
}

/** Elements of zeros that are written at a time. */
const zerosAtOnce = 2 ** 22;

/**
 * Memory of a device whose addresses count on as the host's do, from the provider's allocator. Host and device exchange
 * values through graphs of one Identity: ONNX Runtime copies an input or output that is bound where the provider is not.
 */
export class DeviceRoom implements Room {
  readonly placesAnywhere = true;
  readonly queue = { last: Promise.resolve() as Promise<unknown> };
  readonly runsHere: boolean;
  readonly #host: HostRoom;
  readonly #sessions = new Map<ElementType, Promise<Pointer>>();
  #captures = 0;

  readonly api: OrtApi;

  private constructor(
    private readonly library: OrtLibrary,
    private readonly openSession: OpenSession,
    private readonly first: Pointer,
    readonly allocator: Pointer,
    /** Where tensors are. */
    readonly place: Pointer,
    private readonly options: DeviceRoomOptions,
  ) {
    this.api = library.api;
    this.#host = new HostRoom(this.api);
    this.#sessions.set('float32', Promise.resolve(first));
    // What is captured belongs to the thread that has run it.
    this.runsHere = options.graphs;
  }

  static async open(
    library: OrtLibrary,
    openSession: OpenSession,
    options: DeviceRoomOptions,
  ): Promise<DeviceRoom> {
    // Its session keeps the provider's allocator for as long as the room is there.
    const first = await openSession(identityModel('float32'));
    const { api } = library;
    const place = api.createMemoryInfo(options.name, 0, options.device, 0);
    return new DeviceRoom(library, openSession, first, api.createAllocator(first, place), place, options);
  }

  allocate<T extends ElementType>(type: T, count: number): RoomMemory<T> {
    return new DeviceMemory(this, type, count);
  }

  copiedInputs(
    session: Pointer,
    required: readonly string[],
    optional: readonly string[],
  ): readonly string[] {
    // Older ones do not tell; the graphs have none.
    if (Number(this.library.version.split('.')[1]) < 23) return [];
    const memories = this.api.inputMemories(session, required.length);
    // Of inputs with a default nothing is told.
    return [...required.filter((_, i) => !memories[i]!.startsWith(this.options.name)), ...optional];
  }

  isLost(error: Error): boolean {
    return this.options.isLost(error);
  }

  /** Each binding is a capture of its own. */
  runOptions(captured: boolean): Pointer | null {
    if (!this.options.graphs) return null;
    const run = this.api.createRunOptions();
    this.api.addRunConfigEntry(run, 'gpu_graph_id', captured ? String(++this.#captures) : '-1');
    return run;
  }

  /** Copies values of the host to a place of the device. */
  upload<T extends ElementType>(
    type: T,
    to: (shape: number[]) => Pointer,
    values: ElementArrays[T],
  ): Promise<void> {
    return this.#staged(type, values.length, async (staging, host) => {
      staging.write(values, 0);
      await this.copy(type, host, to([values.length]));
    });
  }

  /** Copies a place of the device to the host. */
  download<T extends ElementType>(
    type: T,
    from: (shape: number[]) => Pointer,
    count: number,
  ): Promise<ElementArrays[T]> {
    return this.#staged(type, count, async (staging, host) => {
      await this.copy(type, from([count]), host);
      return staging.read(0, count).slice() as ElementArrays[T];
    });
  }

  /** Releases both values. */
  async copy(type: ElementType, from: Pointer, to: Pointer): Promise<void> {
    const { api } = this;
    try {
      const session = await once(this.#sessions, type, () => this.openSession(identityModel(type)));
      const binding = api.createIoBinding(session);
      const run = this.runOptions(false);
      try {
        api.bindInput(binding, 'x', from);
        api.bindOutput(binding, 'y', to);
        if (this.runsHere) api.runWithBindingHere(session, run, binding);
        else await api.runWithBinding(session, run, binding);
      } finally {
        api.releaseIoBinding(binding);
        if (run !== null) api.releaseRunOptions(run);
      }
    } finally {
      api.releaseValue(from);
      api.releaseValue(to);
    }
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) {
      const opened = await session.catch(() => null);
      if (opened !== null && opened !== this.first) this.api.releaseSession(opened);
    }
    this.api.releaseAllocator(this.allocator);
    this.api.releaseSession(this.first);
    this.api.releaseMemoryInfo(this.place);
    this.#host.close();
  }

  async #staged<T extends ElementType, R>(
    type: T,
    count: number,
    work: (staging: HostMemory<T>, value: Pointer) => Promise<R>,
  ): Promise<R> {
    const staging = this.#host.allocate(type, count);
    try {
      return await work(staging, staging.tensor(0, [count]));
    } finally {
      staging.free();
    }
  }
}

/** Zeros at its first use. */
class DeviceMemory<T extends ElementType> implements RoomMemory<T> {
  readonly #address: Pointer;
  #zeros: Promise<void> | null = null;
  #freed = false;

  constructor(
    private readonly room: DeviceRoom,
    readonly type: T,
    readonly count: number,
  ) {
    const { api, allocator } = room;
    const bytes = Math.max(1, count * elements[type].bytes);
    this.#address = allocated(api, allocator, bytes, `on the device for ${type}[${count}]`);
  }

  get freed(): boolean {
    return this.#freed;
  }

  refuseOutside(offset: number, count: number): void {
    refuseOutside(this, offset, count);
  }

  /** Places begin anywhere. */
  refusePlace(offset: number, count: number): void {
    this.refuseOutside(offset, count);
  }

  async write(values: ElementArrays[T], offset: number): Promise<void> {
    if (values.length < this.count) await this.#zeroed();
    else this.#zeros ??= Promise.resolve();
    if (values.length > 0) await this.#upload(values, offset);
  }

  async read(offset: number, count: number): Promise<ElementArrays[T]> {
    await this.#zeroed();
    if (count === 0) return new elements[this.type].array(new ArrayBuffer(0));
    return this.room.download(this.type, (shape) => this.#value(offset, shape), count);
  }

  async copy(from: DeviceMemory<T>, start: number, count: number, offset: number): Promise<void> {
    if (count === 0) return;
    const values = await from.tensor(start, [count]);
    await this.room.copy(this.type, values, await this.tensor(offset, [count]));
  }

  async tensor(offset: number, shape: readonly number[]): Promise<Pointer> {
    await this.#zeroed();
    return this.#value(offset, shape);
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.room.api.allocatorFree(this.room.allocator, this.#address);
  }

  #zeroed(): Promise<void> {
    return (this.#zeros ??= this.#writeZeros());
  }

  async #writeZeros(): Promise<void> {
    const { array, bytes } = elements[this.type];
    for (let offset = 0; offset < this.count; offset += zerosAtOnce) {
      const length = Math.min(zerosAtOnce, this.count - offset);
      await this.#upload(new array(new ArrayBuffer(length * bytes)), offset);
    }
  }

  #upload(values: ElementArrays[T], offset: number): Promise<void> {
    return this.room.upload(this.type, (shape) => this.#value(offset, shape), values);
  }

  #value(offset: number, shape: readonly number[]): Pointer {
    const { bytes, code } = elements[this.type];
    const start = this.#address + BigInt(offset * bytes);
    const dimensions = BigInt64Array.from(shape, BigInt);
    const size = elementCount(shape) * bytes;
    return this.room.api.createTensor(this.room.place, start, size, dimensions, shape.length, code);
  }
}
