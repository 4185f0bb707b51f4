import { InferenceSession, Tensor } from 'onnxruntime-node';
import { elements } from '../../src/engines/elements.js';
import type {
  Binding,
  ElementArrays,
  ElementType,
  Engine,
  LoadedGraph,
  LoadOptions,
  Memory,
  Place,
  Places,
} from '../../src/engines/engine.js';
import { elementCount } from '../../src/onnx/model.js';

interface NodeMemory<T extends ElementType = ElementType> extends Memory<T> {
  readonly values: ElementArrays[T];
}

interface NodeGraph extends LoadedGraph {
  readonly session: InferenceSession;
}

interface NodeBinding extends Binding {
  readonly graph: NodeGraph;
  readonly places: readonly [Places, Places];
}

/**
 * Graphs run by onnxruntime-node's own JavaScript interface, on arrays of the JavaScript heap that it copies from and
 * results that are copied back: what training runs on nowhere, to compare with. Graphs whose inputs have no defaults.
 */
export class NodeEngine implements Engine {
  readonly facts = { engine: 'in-process', provider: 'cpu', version: '1.29.0' } as const;
  readonly placesAnywhere = true;
  #last: Promise<unknown> = Promise.resolve();

  allocate<T extends ElementType>(type: T, count: number): NodeMemory<T> {
    const { array, bytes } = elements[type];
    return { type, count, values: new array(new ArrayBuffer(count * bytes)) };
  }

  free(): void {}

  write<T extends ElementType>(memory: Memory<T>, values: ElementArrays[T], offset = 0): Promise<void> {
    // The array of a type takes elements of that type.
    return this.#after(() => valuesOf(memory).set(values as never, offset));
  }

  read<T extends ElementType>(
    memory: Memory<T>,
    offset = 0,
    count = memory.count - offset,
  ): Promise<ElementArrays[T]> {
    return this.#after(() => valuesOf(memory).slice(offset, offset + count) as ElementArrays[T]);
  }

  copy<T extends ElementType>(from: Place<T>, to: Place<T>): Promise<void> {
    return this.#after(() => arrayAt(to).set(arrayAt(from) as never));
  }

  load(model: Uint8Array | string, { name, optimization = 'all' }: LoadOptions): Promise<LoadedGraph> {
    return this.#after(async () => {
      const options = { intraOpNumThreads: 1, graphOptimizationLevel: optimization } as const;
      // Two signatures, of which a union is neither.
      const session = await (typeof model === 'string'
        ? InferenceSession.create(model, options)
        : InferenceSession.create(model, options));
      const { inputNames: inputs, outputNames: outputs } = session;
      const endTrace = () => Promise.reject(new Error('no trace'));
      return { name, inputs, outputs, session, endTrace, close: () => this.#after(() => session.release()) };
    });
  }

  bind(graph: LoadedGraph, inputs: Places, outputs: Places): Binding {
    return { graph: graph as NodeGraph, places: [inputs, outputs] } satisfies NodeBinding as Binding;
  }

  run(...bindings: readonly Binding[]): Promise<void> {
    return this.#after(async () => {
      for (const binding of bindings) await this.#run(binding as NodeBinding);
    });
  }

  close(): Promise<void> {
    return this.#after(() => {});
  }

  async #run({ graph, places: [inputs, outputs] }: NodeBinding): Promise<void> {
    const feeds = Object.entries(inputs).map(([name, place]) => {
      const data = arrayAt(place).slice();
      return [name, new Tensor(place.memory.type, data as never, [...place.shape])] as const;
    });
    const results = await graph.session.run(Object.fromEntries(feeds), Object.keys(outputs));
    for (const [name, place] of Object.entries(outputs)) {
      arrayAt(place).set(results[name]!.data as never);
      results[name]!.dispose();
    }
  }

  #after<T>(work: () => T | Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

function valuesOf<T extends ElementType>(memory: Memory<T>): ElementArrays[T] {
  return (memory as NodeMemory<T>).values;
}

function arrayAt<T extends ElementType>({ memory, offset, shape }: Place<T>): ElementArrays[T] {
  return valuesOf(memory).subarray(offset, offset + elementCount(shape)) as ElementArrays[T];
}
