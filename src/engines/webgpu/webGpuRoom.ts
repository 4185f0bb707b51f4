import { oneLine, SlimclrError } from '../../errors.js';
import { elementCount } from '../../onnx/model.js';
import { once } from '../../once.js';
import { elements } from '../elements.js';
import type { ElementType } from '../engine.js';
import type { OrtApi, Pointer } from '../ortApi.js';
import type { OrtLibrary } from '../ortLibrary.js';
import type { OpenSession } from '../provider.js';
import { type Beside, type Room, type RoomMemory } from '../room.js';
import { identityModel } from '../copyModel.js';
import { WebGpuMemory } from './webGpuMemory.js';
import { partModel, patchModel } from './models.js';

/*
 * WebGPU of ONNX Runtime 1.29 through its C API:
 * - memory info "WebGPU_Buffer" gives an allocator of a session; its addresses are handles of buffers, so that a tensor
 *   begins at the start of its buffer, and CopyTensors copies whole tensors between host and device and on the device;
 * - tensors on the device are inputs and outputs of IoBinding, and a run returns before the device has done it;
 * - sessions of a process share one device, with its compiled shaders, while one of them is there;
 * - an input that a node on the CPU reads is copied when it is bound, and has to be bound anew for each run;
 * - a run on a device that is lost says nothing, what reads its results does; from CopyTensors that ends the process;
 * - a buffer that is read and written by one shader is a validation error: an output has a buffer of its own;
 * - what the device cannot allocate is no error, but a buffer that reads as zeros; with validation, runs on it fail.
 */

/** `basic`: a run that uses a buffer that could not be made fails, which costs 10 us an operator. */
const providerOptions = { validationMode: 'basic' } as const;

export function appendWebGpu(api: OrtApi, options: Pointer): void {
  const keys = Object.keys(providerOptions);
  api.appendProvider(options, 'WebGPU', keys, Object.values(providerOptions), keys.length);
}

/** What crosses between host and device, in bytes. */
export interface Traffic {
  written: number;
  read: number;
}

/** Calls of all engines: the device that they share takes those of one thread at a time. */
const queue = { last: Promise.resolve() as Promise<unknown> };

/** GPU buffers. */
export class WebGpuRoom implements Room, Beside {
  readonly placesAnywhere = false;
  readonly beside: Beside = this;
  readonly queue = queue;
  readonly traffic: Traffic = { written: 0, read: 0 };
  readonly #sessions = new Map<string, Promise<Pointer>>();
  readonly #spares = new Map<string, WebGpuMemory>();
  readonly #host: Pointer;
  readonly #device: Pointer;

  private constructor(
    readonly api: OrtApi,
    private readonly environment: Pointer,
    private readonly openSession: OpenSession,
    private readonly first: Pointer,
    private readonly allocator: Pointer,
    device: Pointer,
  ) {
    this.#device = device;
    this.#host = api.createCpuMemoryInfo(0, 0);
  }

  /** Throws a SlimclrError where there is no adapter. */
  static async open(
    { api, environment, version }: OrtLibrary,
    openSession: OpenSession,
  ): Promise<WebGpuRoom> {
    // Its session keeps the device, and the shaders that it has compiled, for as long as the room is there.
    const opened = queue.last.then(() => openSession(partModel()));
    queue.last = opened.catch(() => {});
    const session = await opened.catch((cause: Error) => {
      const reason = /adapter/i.test(cause.message) ? 'no adapter' : oneLine(cause);
      throw new SlimclrError(
        `ONNX Runtime ${version} has no WebGPU device here (${reason}); ` +
          'accepted: a GPU with a driver for Vulkan, Metal or Direct3D 12',
        { cause },
      );
    });
    const device = api.createMemoryInfo('WebGPU_Buffer', 0, 0, 0);
    return new WebGpuRoom(
      api,
      environment,
      openSession,
      session,
      api.createAllocator(session, device),
      device,
    );
  }

  allocate<T extends ElementType>(type: T, count: number): RoomMemory<T> {
    return new WebGpuMemory(this, type, count);
  }

  async copy(from: RoomMemory, to: RoomMemory): Promise<void> {
    // Both are of this room.
    const [source, target] = [from as WebGpuMemory, to as WebGpuMemory];
    await this.api.copyTensor(this.environment, await source.value(), await target.value());
  }

  spare(type: ElementType, count: number, index: number): RoomMemory {
    return once(this.#spares, `${type} ${count} ${index}`, () => new WebGpuMemory(this, type, count));
  }

  copiedInputs(
    session: Pointer,
    required: readonly string[],
    optional: readonly string[],
  ): readonly string[] {
    const memories = this.api.inputMemories(session, required.length);
    // Of inputs with a default nothing is told.
    return [...required.filter((_, i) => !memories[i]!.startsWith('WebGPU')), ...optional];
  }

  isLost({ message }: Error): boolean {
    return /device\]? (is |was )?lost/i.test(message);
  }

  /** A value of its own on the device; null where there is no memory for it. */
  async create(type: ElementType, count: number): Promise<Pointer | null> {
    const { code, bytes } = elements[type];
    const whole = Math.max(1, count);
    const value = this.api.createDeviceTensor(this.allocator, BigInt64Array.of(BigInt(whole)), 1, code);
    // What cannot be allocated is told by nobody, but reads as zeros.
    const start = this.over(type, value, [1]);
    const probe = new Uint8Array(bytes);
    try {
      await this.upload(type, start, new Uint8Array(bytes).fill(1), 1);
      await this.#copyDown(type, start, probe, 1);
    } finally {
      this.api.releaseValue(start);
    }
    if (probe[0] !== 1) {
      this.api.releaseValue(value);
      return null;
    }
    await this.upload(type, value, new Uint8Array(whole * bytes), whole);
    return value;
  }

  /** A value of a shape over the buffer of another. */
  over(type: ElementType, value: Pointer, shape: readonly number[]): Pointer {
    const { code, bytes } = elements[type];
    const buffer = this.api.tensorData(value);
    const dimensions = BigInt64Array.from(shape, BigInt);
    return this.api.createTensor(
      this.#device,
      buffer,
      elementCount(shape) * bytes,
      dimensions,
      shape.length,
      code,
    );
  }

  async upload(type: ElementType, to: Pointer, from: ArrayBufferView, count: number): Promise<void> {
    await this.#withHost(type, from, count, (host) => this.api.copyTensor(this.environment, host, to));
    this.traffic.written += from.byteLength;
  }

  async download(type: ElementType, from: Pointer, to: ArrayBufferView, count: number): Promise<void> {
    await this.#refuseLost();
    await this.#copyDown(type, from, to, count);
    this.traffic.read += to.byteLength;
  }

  /** Elements of a float32 vector on the device, on the device; the caller releases it. */
  async part(from: Pointer, count: number, start: number, end: number): Promise<Pointer> {
    const session = await this.#session('part', partModel);
    const y = this.#vector(end - start);
    await this.#runCopy(session, { x: this.over('float32', from, [count]) }, { start, end }, y);
    return y;
  }

  /** Puts a vector of `count` elements in the place of some of the `size` of another, float32 on the device both. */
  async patch(to: Pointer, size: number, from: Pointer, count: number, start: number): Promise<void> {
    const end = start + count;
    const [before, after] = [start > 0, end < size];
    const values = this.over('float32', from, [count]);
    if (!before && !after) {
      try {
        return await this.api.copyTensor(this.environment, values, to);
      } finally {
        this.api.releaseValue(values);
      }
    }
    const session = await this.#session(`patch ${before} ${after}`, () => patchModel(before, after));
    const y = this.#vector(size);
    const numbers = { ...(before && { zero: 0, start }), ...(after && { end, size }) };
    await this.#runCopy(session, { x: this.over('float32', to, [size]), values }, numbers, y);
    await this.api.copyTensor(this.environment, y, to);
    this.api.releaseValue(y);
  }

  /** Uses values of the host as a vector on the device. */
  async withUploaded(values: Float32Array, use: (vector: Pointer) => Promise<void>): Promise<void> {
    const vector = this.#vector(values.length);
    try {
      await this.upload('float32', vector, values, values.length);
      await use(vector);
    } finally {
      this.api.releaseValue(vector);
    }
  }

  async close(): Promise<void> {
    for (const spare of this.#spares.values()) await spare.free();
    for (const session of this.#sessions.values()) this.api.releaseSession(await session);
    this.api.releaseAllocator(this.allocator);
    this.api.releaseSession(this.first);
    this.api.releaseMemoryInfo(this.#device);
    this.api.releaseMemoryInfo(this.#host);
  }

  #copyDown(type: ElementType, from: Pointer, to: ArrayBufferView, count: number): Promise<void> {
    return this.#withHost(type, to, count, (host) => this.api.copyTensor(this.environment, from, host));
  }

  /** Throws where the device is lost: what a run gives to the host says so; CopyTensors ends the process with it. */
  async #refuseLost(): Promise<void> {
    const session = await this.#session('identity', () => identityModel('float32'));
    const x = this.#vector(1);
    await this.#withHost('float32', new Float32Array(new ArrayBuffer(4)), 1, (host) =>
      this.#runCopy(session, { x }, {}, host),
    );
  }

  #vector(count: number): Pointer {
    const { code } = elements.float32;
    return this.api.createDeviceTensor(this.allocator, BigInt64Array.of(BigInt(count)), 1, code);
  }

  #session(name: string, model: () => Uint8Array): Promise<Pointer> {
    return once(this.#sessions, name, () => this.openSession(model()));
  }

  /** Runs a graph of models.ts; releases what it reads. */
  async #runCopy(
    session: Pointer,
    vectors: Readonly<Record<string, Pointer>>,
    numbers: Readonly<Record<string, number>>,
    y: Pointer,
  ): Promise<void> {
    const { api } = this;
    const held = Object.entries(numbers).map(([name, number]) => ({
      name,
      array: BigInt64Array.of(BigInt(number)),
    }));
    const binding = api.createIoBinding(session);
    const values = Object.values(vectors);
    try {
      for (const [name, value] of Object.entries(vectors)) api.bindInput(binding, name, value);
      for (const { name, array } of held) {
        const value = api.createTensor(this.#host, array, 8, BigInt64Array.of(1n), 1, elements.int64.code);
        values.push(value);
        api.bindInput(binding, name, value);
      }
      api.bindOutput(binding, 'y', y);
      await api.runWithBinding(session, null, binding);
    } finally {
      api.releaseIoBinding(binding);
      for (const value of values) api.releaseValue(value);
      // Until here ONNX Runtime reads them.
      held.length = 0;
    }
  }

  async #withHost(
    type: ElementType,
    array: ArrayBufferView,
    count: number,
    use: (host: Pointer) => Promise<void>,
  ): Promise<void> {
    const { code } = elements[type];
    const dimensions = BigInt64Array.of(BigInt(count));
    const host = this.api.createTensor(this.#host, array, array.byteLength, dimensions, 1, code);
    const held = [array];
    try {
      await use(host);
    } finally {
      this.api.releaseValue(host);
      // Until here ONNX Runtime reads or writes it.
      held.length = 0;
    }
  }
}
