import type { KoffiFunc, TypeObject } from 'koffi';
import { hasAsyncStack, koffi as load } from '../koffi.js';

/*
 * The part of ONNX Runtime's C API that is in use. Struct OrtApi is a table of functions to which versions only append,
 * so that a member is found by its place in every version that has it (onnxruntime_c_api.h).
 */

/** A handle, an address: nothing but the functions here looks behind it. */
export type Pointer = bigint;

/** `API version n` is that of ONNX Runtime 1.n: the newest member in use is of 1.13, opset 21 of 1.18. */
export const oldestMinor = 18;

/** What a function of ONNX Runtime has refused, in its words. */
export class OrtError extends Error {
  override name = 'OrtError';
}

export type OrtApi = ReturnType<typeof bindOrtApi>;

type Type = string | TypeObject;

/** The functions of a table, which lies at `table`. Those that give a status throw an OrtError where it is not null. */
export function bindOrtApi(table: Pointer) {
  const koffi = load();
  const away = hasAsyncStack();
  const any = 'void *';
  /** ORTCHAR_T: paths are UTF-16 on Windows. */
  const path = process.platform === 'win32' ? 'str16' : 'str';
  const strings = koffi.pointer('str');
  const outAny = koffi.out(koffi.pointer('void *')) as unknown as TypeObject;
  const outCount32 = koffi.out(koffi.pointer('int')) as unknown as TypeObject;
  const outCount = koffi.out(koffi.pointer('size_t')) as unknown as TypeObject;

  const member = (place: number, result: Type, ...parameters: Type[]) => {
    const address = koffi.decode(table, 8 * place, any) as Pointer;
    return koffi.decode(address, koffi.proto(result, parameters)) as KoffiFunc<
      (...args: unknown[]) => Pointer | null
    >;
  };
  const errorMessage = member(2, 'str', any) as unknown as (status: Pointer) => string;
  const releaseStatus = member(93, 'void', any);
  const refusal = (status: Pointer | null): OrtError | null => {
    if (status === null) return null;
    const message = errorMessage(status);
    releaseStatus(status);
    return new OrtError(message);
  };
  const check = (status: Pointer | null) => {
    const refused = refusal(status);
    if (refused) throw refused;
  };

  /** A function that gives nothing but its status. */
  const call = <A extends unknown[]>(place: number, ...parameters: Type[]) => {
    const f = member(place, any, ...parameters);
    return (...args: A): void => check(f(...args));
  };
  /** A function that also writes one value: what its last parameter points to. */
  const get = <A extends unknown[], R = Pointer>(place: number, out: Type, ...parameters: Type[]) => {
    const f = member(place, any, ...parameters, out);
    return (...args: A): R => {
      const result: [unknown] = [null];
      check(f(...args, result));
      return result[0] as R;
    };
  };
  /** The same, away from the JavaScript thread where that has the stack for it. What `args` point to stays where it is until then. */
  const later = <A extends unknown[]>(place: number, ...parameters: Type[]) => {
    const f = member(place, any, ...parameters);
    return (...args: A): Promise<void> =>
      new Promise((resolve, reject) => {
        if (!away) {
          check(f(...args));
          return resolve();
        }
        f.async(...args, (error: Error | null, status: Pointer | null) => {
          // What they point to must not be collected before.
          args.length = 0;
          const refused = error ?? refusal(status);
          if (refused) reject(refused);
          else resolve();
        });
      });
  };
  const getLater = <A extends unknown[]>(place: number, ...parameters: Type[]) => {
    const f = later<unknown[]>(place, ...parameters, outAny);
    return async (...args: A): Promise<Pointer> => {
      const result: [Pointer | null] = [null];
      await f(...args, result);
      return result[0]!;
    };
  };
  const release = (place: number) => member(place, 'void', any) as unknown as (handle: Pointer) => void;

  const api = {
    /** `level`: of messages that go to stderr, 0 verbose to 4 fatal. The environment is one a process, counted. */
    createEnv: get<[level: number, id: string]>(3, outAny, 'int', 'str'),
    disableTelemetryEvents: call<[env: Pointer]>(6, any),

    createSessionOptions: get<[]>(10, outAny),
    releaseSessionOptions: release(100),
    /** Where a session writes its graph as it runs it. */
    setOptimizedModelFilePath: call<[options: Pointer, path: string]>(11, any, path),
    enableProfiling: call<[options: Pointer, prefix: string]>(14, any, path),
    disableMemPattern: call<[options: Pointer]>(17, any),
    disableCpuMemArena: call<[options: Pointer]>(19, any),
    setSessionLogSeverityLevel: call<[options: Pointer, level: number]>(22, any, 'int'),
    /** 0: none, 99: all. */
    setSessionGraphOptimizationLevel: call<[options: Pointer, level: number]>(23, any, 'int'),
    setIntraOpNumThreads: call<[options: Pointer, threads: number]>(24, any, 'int'),
    addSessionConfigEntry: call<[options: Pointer, key: string, value: string]>(130, any, 'str', 'str'),

    createSession: getLater<[env: Pointer, path: string, options: Pointer]>(7, any, path, any),
    createSessionFromArray: getLater<[env: Pointer, model: Uint8Array, bytes: number, options: Pointer]>(
      ...([8, any, any, 'size_t', any] as const),
    ),
    releaseSession: release(95),
    sessionInputCount: get<[session: Pointer], number>(30, outCount, any),
    sessionOutputCount: get<[session: Pointer], number>(31, outCount, any),
    /** Of initializers that are inputs, too. */
    sessionDefaultCount: get<[session: Pointer], number>(32, outCount, any),
    sessionInputName: get<[session: Pointer, i: number, allocator: Pointer]>(36, outAny, any, 'size_t', any),
    sessionOutputName: get<[session: Pointer, i: number, allocator: Pointer]>(37, outAny, any, 'size_t', any),
    sessionDefaultName: get<[session: Pointer, i: number, allocator: Pointer]>(
      ...([38, outAny, any, 'size_t', any] as const),
    ),
    /** Gives the path of the trace. */
    sessionEndProfiling: get<[session: Pointer, allocator: Pointer]>(110, outAny, any, any),

    /** The CPU's; nobody releases it. */
    defaultAllocator: get<[]>(78, outAny),
    createAllocator: get<[session: Pointer, memory: Pointer]>(131, outAny, any, any),
    releaseAllocator: release(132),
    allocatorAlloc: get<[allocator: Pointer, bytes: number], Pointer | null>(75, outAny, any, 'size_t'),
    allocatorFree: call<[allocator: Pointer, memory: Pointer]>(76, any, any),
    /** `allocator`: 0 of the device, 1 an arena; `type`: 0 default. */
    createMemoryInfo: get<[name: string, allocator: number, device: number, type: number]>(
      ...([68, outAny, 'str', 'int', 'int', 'int'] as const),
    ),
    createCpuMemoryInfo: get<[allocator: number, type: number]>(69, outAny, 'int', 'int'),
    releaseMemoryInfo: release(94),
    /** A tensor over memory that stays the caller's. */
    createTensor: get<
      [
        memory: Pointer,
        data: Pointer | ArrayBufferView,
        bytes: number,
        shape: BigInt64Array,
        rank: number,
        type: number,
      ]
    >(49, outAny, any, any, 'size_t', koffi.pointer('int64_t'), 'size_t', 'int'),
    releaseValue: release(96),
    /** A tensor in memory of its own, of an allocator. */
    createDeviceTensor: get<[allocator: Pointer, shape: BigInt64Array, rank: number, type: number]>(
      ...([48, outAny, any, koffi.pointer('int64_t'), 'size_t', 'int'] as const),
    ),
    /** Address of its elements, on a device its handle of them. */
    tensorData: get<[value: Pointer]>(51, outAny, any),

    /** 1: a tensor. */
    valueType: get<[value: Pointer], number>(67, outCount32, any),
    tensorInfo: get<[value: Pointer]>(65, outAny, any),
    releaseTensorInfo: release(99),
    /** `ONNXTensorElementDataType`. */
    tensorElementType: get<[info: Pointer], number>(60, outCount32, any),
    tensorRank: get<[info: Pointer], number>(61, outCount, any),
    tensorShape: call<[info: Pointer, shape: BigInt64Array, rank: number]>(62, any, any, 'size_t'),
    /** In the JavaScript thread; where `outputs` holds 0 a value is made, which is the caller's to release. */
    run: call<
      [
        session: Pointer,
        options: Pointer | null,
        inputNames: readonly string[],
        inputs: BigUint64Array,
        inputCount: number,
        outputNames: readonly string[],
        outputCount: number,
        outputs: BigUint64Array,
      ]
    >(9, any, any, strings, any, 'size_t', strings, 'size_t', any),

    createIoBinding: get<[session: Pointer]>(134, outAny, any),
    releaseIoBinding: release(135),
    /** Keeps the value, which may be released. */
    bindInput: call<[binding: Pointer, name: string, value: Pointer]>(136, any, 'str', any),
    bindOutput: call<[binding: Pointer, name: string, value: Pointer]>(137, any, 'str', any),
    runWithBinding: later<[session: Pointer, options: Pointer | null, binding: Pointer]>(133, any, any, any),
    /** The same in the JavaScript thread. */
    runWithBindingHere: call<[session: Pointer, options: Pointer | null, binding: Pointer]>(
      133,
      any,
      any,
      any,
    ),
    createRunOptions: get<[]>(39, outAny),
    addRunConfigEntry: call<[options: Pointer, key: string, value: string]>(165, any, 'str', 'str'),
    releaseRunOptions: release(97),

    /** Adds a provider by its name, such as `WebGPU`. */
    appendProvider: call<
      [options: Pointer, name: string, keys: readonly string[], values: readonly string[], count: number]
    >(216, any, 'str', strings, strings, 'size_t'),
    createArenaConfig: get<[keys: readonly string[], values: BigUint64Array, count: number]>(
      ...([164, outAny, strings, any, 'size_t'] as const),
    ),
    releaseArenaConfig: release(157),
    /** An allocator that sessions of the environment share, where they ask for those. */
    createAndRegisterAllocator: call<
      [
        environment: Pointer,
        provider: string,
        memory: Pointer,
        arena: Pointer,
        keys: readonly string[],
        values: readonly string[],
        count: number,
      ]
    >(259, any, 'str', any, any, strings, strings, 'size_t'),
    createCudaOptions: get<[]>(205, outAny),
    updateCudaOptions: call<
      [options: Pointer, keys: readonly string[], values: readonly string[], count: number]
    >(...([206, any, strings, strings, 'size_t'] as const)),
    releaseCudaOptions: release(208),
    appendCuda: call<[session: Pointer, cuda: Pointer]>(204, any, any),
  };
  const memoryName = get<[memory: Pointer], string>(
    71,
    koffi.out(koffi.pointer('str')) as unknown as TypeObject,
    any,
  );
  // Of 1.23: in older tables there is something else.
  let inputMemoryInfos: ReturnType<typeof call> | null = null;
  let copyTensors: ((...args: unknown[]) => Promise<void>) | null = null;
  const availableProviders = member(125, any, outAny, outCount32);
  const releaseProviders = member(126, any, any, 'int');
  return {
    ...api,
    /** Names of the providers that it was built with; those of libraries of their own may not load. */
    providers(): string[] {
      const [names, count]: [[Pointer | null], [number]] = [[null], [0]];
      check(availableProviders(names, count));
      try {
        return koffi.decode(names[0], koffi.array('str', count[0])) as string[];
      } finally {
        check(releaseProviders(names[0], count[0]));
      }
    },
    /** Names of the memories in which a session wants its inputs, those with a default left out. */
    inputMemories(session: Pointer, count: number): string[] {
      inputMemoryInfos ??= call(380, any, any, 'size_t');
      const infos = new BigUint64Array(count);
      inputMemoryInfos(session, infos, count);
      return Array.from(infos, (info) => memoryName(info));
    },
    /** Copies a tensor to another of its type and shape, of any device. */
    copyTensor(env: Pointer, from: Pointer, to: Pointer): Promise<void> {
      copyTensors ??= later<unknown[]>(386, any, any, any, any, 'size_t');
      return copyTensors(env, BigUint64Array.of(from), BigUint64Array.of(to), null, 1);
    },
    /** The text at an address that an allocator gave, which gets it back. */
    takeString(allocator: Pointer, text: Pointer): string {
      const value = koffi.decode.string(text);
      api.allocatorFree(allocator, text);
      return value;
    },
    /** Memory as JavaScript sees it, for as long as it is there. */
    view: (memory: Pointer, bytes: number): ArrayBuffer => koffi.view(memory, bytes),
  };
}
