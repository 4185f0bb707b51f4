import { oneLine, SlimclrError } from '../errors.js';
import {
  byteLength,
  elementFormats,
  elementTypes,
  formatType,
  valuesOf,
  type ElementType,
} from '../onnx/tensorType.js';
import type { TensorData } from '../onnx/safetensors.js';
import type { Pointer } from './ortApi.js';
import { ortLibrary, type OrtLibrary } from './ortLibrary.js';

/** Of messages on stderr: none. What ONNX Runtime refuses it also says in a status. */
const silent = 4;
const allOptimizations = 99;
const tensorType = 1;

const byCode = new Map(elementTypes.map((dtype) => [elementFormats[dtype].onnx, dtype]));

/**
 * A model that any program wrote, run on the CPU in the JavaScript thread: its outputs may have any shape, which need
 * not be known before a run. Graphs of ours on state of ours are an engine's.
 */
export class ForeignModel {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  #session: Pointer | null;

  private constructor(
    private readonly path: string,
    private readonly library: OrtLibrary,
    session: Pointer,
  ) {
    this.#session = session;
    const { api } = library;
    const allocator = api.defaultAllocator();
    const names = (count: number, name: typeof api.sessionInputName) =>
      Array.from({ length: count }, (_, i) => api.takeString(allocator, name(session, i, allocator)));
    this.inputs = names(api.sessionInputCount(session), api.sessionInputName);
    this.outputs = names(api.sessionOutputCount(session), api.sessionOutputName);
  }

  /** The model of a file, beside which its external data are. Throws a SlimclrError for what ONNX Runtime refuses. */
  static async open(path: string, threads: number): Promise<ForeignModel> {
    const library = ortLibrary();
    const { api, environment, version } = library;
    const options = api.createSessionOptions();
    try {
      api.setIntraOpNumThreads(options, threads);
      api.setSessionGraphOptimizationLevel(options, allOptimizations);
      api.setSessionLogSeverityLevel(options, silent);
      api.addSessionConfigEntry(options, 'session.force_spinning_stop', '1');
      return new ForeignModel(path, library, await api.createSession(environment, path, options));
    } catch (cause) {
      const refused = `${path}: ONNX Runtime ${version} does not take the model`;
      throw new SlimclrError(`${refused} (${oneLine(cause as Error)})`, { cause });
    } finally {
      api.releaseSessionOptions(options);
    }
  }

  /**
   * Outputs by name in the order of the model; null for one that is no tensor, or of another type than `ElementType`.
   * Throws a SlimclrError for inputs that the model does not take.
   */
  run(feeds: ReadonlyMap<string, TensorData>): Map<string, TensorData | null> {
    const { api } = this.library;
    const place = api.createCpuMemoryInfo(0, 0);
    const values: Pointer[] = [];
    try {
      for (const [name, tensor] of feeds) values.push(this.#tensor(place, name, tensor));
      const results = this.#run([...feeds.keys()], values);
      try {
        return new Map(this.outputs.map((name, i) => [name, this.#read(results[i]!)]));
      } finally {
        for (const value of results) api.releaseValue(value);
      }
    } finally {
      for (const value of values) api.releaseValue(value);
      api.releaseMemoryInfo(place);
    }
  }

  /** Milliseconds of each of so many runs, without reading the outputs. */
  time(feeds: ReadonlyMap<string, TensorData>, runs: number): number[] {
    const { api } = this.library;
    const place = api.createCpuMemoryInfo(0, 0);
    const values: Pointer[] = [];
    try {
      for (const [name, tensor] of feeds) values.push(this.#tensor(place, name, tensor));
      const names = [...feeds.keys()];
      return Array.from({ length: runs }, () => {
        const start = performance.now();
        const results = this.#run(names, values);
        const end = performance.now();
        for (const value of results) api.releaseValue(value);
        return end - start;
      });
    } finally {
      for (const value of values) api.releaseValue(value);
      api.releaseMemoryInfo(place);
    }
  }

  close(): void {
    if (this.#session !== null) this.library.api.releaseSession(this.#session);
    this.#session = null;
  }

  #run(names: readonly string[], values: readonly Pointer[]): BigUint64Array {
    if (this.#session === null) throw new SlimclrError(`${this.path}: the model is closed`);
    const results = new BigUint64Array(this.outputs.length);
    const inputs = BigUint64Array.from(values);
    const { outputs } = this;
    try {
      this.library.api.run(
        this.#session,
        null,
        names,
        inputs,
        names.length,
        outputs,
        outputs.length,
        results,
      );
    } catch (cause) {
      throw new SlimclrError(`${this.path}: ${oneLine(cause as Error)}`, { cause });
    }
    return results;
  }

  #tensor(place: Pointer, name: string, { dtype, shape, data }: TensorData): Pointer {
    const { onnx, array } = elementFormats[dtype];
    const bytes = byteLength({ dtype, shape });
    if (!(data instanceof array) || data.byteLength !== bytes) {
      throw new SlimclrError(
        `${this.path}: ${name} is ${formatType({ dtype, shape })}, but its data is ${data.length} elements`,
      );
    }
    return this.library.api.createTensor(
      place,
      data,
      bytes,
      BigInt64Array.from(shape, BigInt),
      shape.length,
      onnx,
    );
  }

  #read(value: Pointer): TensorData | null {
    const { api } = this.library;
    if (api.valueType(value) !== tensorType) return null;
    const info = api.tensorInfo(value);
    let dtype: ElementType | undefined;
    let shape: number[];
    try {
      dtype = byCode.get(api.tensorElementType(info));
      const dimensions = new BigInt64Array(api.tensorRank(info));
      api.tensorShape(info, dimensions, dimensions.length);
      shape = Array.from(dimensions, Number);
    } finally {
      api.releaseTensorInfo(info);
    }
    if (!dtype) return null;
    const bytes = byteLength({ dtype, shape });
    // A view of no bytes has no address. The copy outlasts the value.
    const elements = bytes === 0 ? new Uint8Array() : new Uint8Array(api.view(api.tensorData(value), bytes));
    return { dtype, shape, data: valuesOf(dtype, elements) };
  }
}
