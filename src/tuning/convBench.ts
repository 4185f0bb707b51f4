import type { ElementType, Engine, Memory } from '../engines/engine.js';
import { SlimclrError } from '../errors.js';
import { Graph, type Value } from '../graph/graph.js';
import { elementCount, encodeModel } from '../onnx/model.js';
import { toFloat16 } from '../onnx/float16.js';
import { Builder } from '../ops/builder.js';
import { Random } from '../random.js';
import { cudaBuiltIn, type CudaConv, type CudaPart } from '../targets/cuda/choices.js';
import { cudaTarget } from '../targets/cuda/index.js';
import { emit } from '../targets/emit.js';
import { lower } from '../targets/lower.js';
import { version } from '../version.js';
import { race, type Candidate } from './race.js';

/** Answers how long a part of a convolution takes by each form. */
export interface ConvBench {
  /** Milliseconds, or Infinity where a form is refused, lacks memory, or is not worth a second run. */
  times(conv: CudaConv, part: CudaPart, forms: readonly string[]): Promise<number[]>;
}

/** Milliseconds that are timed at least, by as many runs in one call as they take. */
const longEnough = 2;
const mostRuns = 20;
/** A form whose first run takes so many times as long as the fastest first run so far is out. */
const hopeless = 20;
/** Milliseconds of a first run, in which kernels are looked for, that say nothing of the next. */
const firstRun = 200;

/** Convolutions and their gradients by themselves, on an engine. */
export class EngineConvBench implements ConvBench {
  constructor(
    private readonly engine: Engine,
    private readonly now: () => number = () => performance.now(),
  ) {}

  async times(conv: CudaConv, part: CudaPart, forms: readonly string[]): Promise<number[]> {
    const closed: (() => void | Promise<void>)[] = [];
    const { engine } = this;
    const place = async (value: Value, values?: boolean) => {
      const type = value.dtype as ElementType;
      const memory = engine.allocate(type, elementCount(value.dims));
      closed.push(() => engine.free(memory));
      if (values) await engine.write(memory, few(memory));
      return { memory, offset: 0, shape: value.dims };
    };
    try {
      const { inputs, outputs } = partGraph(conv, part);
      const fed = Object.fromEntries(
        await Promise.all(inputs.map(async (input) => [input.name, await place(input, true)] as const)),
      );
      const given = Object.fromEntries(
        await Promise.all([...outputs].map(async ([name, value]) => [name, await place(value)] as const)),
      );
      const runs: (Candidate | null)[] = [];
      let fastest = Infinity;
      for (const form of forms) {
        const run = await this.#loaded(conv, part, form, fed, given, closed).catch(refused);
        const first = run && (await this.#timed(run).catch(refused));
        const worth = first !== null && first <= Math.max(firstRun, hopeless * fastest);
        if (worth) fastest = Math.min(fastest, first);
        runs.push(worth ? run : null);
      }
      return await this.#race(runs);
    } finally {
      for (const close of closed.reverse()) await close();
    }
  }

  async #loaded(
    conv: CudaConv,
    part: CudaPart,
    form: string,
    inputs: Parameters<Engine['bind']>[1],
    outputs: Parameters<Engine['bind']>[2],
    closed: (() => Promise<void> | void)[],
  ): Promise<(runs?: number) => Promise<void>> {
    const target = cudaTarget({ ...cudaBuiltIn, [part]: () => form });
    const model = emit(lower(partGraph(conv, part), target), { opset: target.opset, version });
    const name = `${part} by ${form}`;
    const graph = await this.engine.load(encodeModel(model), { name, optimization: target.optimization });
    closed.push(() => graph.close());
    const binding = this.engine.bind(graph, inputs, outputs);
    return (runs = 1) => this.engine.run(...new Array<typeof binding>(runs).fill(binding));
  }

  /** Each as often in a call as the shortest of them needs to be long enough to be timed. */
  async #race(runs: readonly (((runs?: number) => Promise<unknown>) | null)[]): Promise<number[]> {
    const there = runs.filter((run) => run !== null);
    if (there.length === 0) return runs.map(() => Infinity);
    let shortest = Infinity;
    for (const run of there) shortest = Math.min(shortest, await this.#timed(run));
    const count = Math.min(mostRuns, Math.max(1, Math.ceil(longEnough / shortest)));
    const times = await race(
      there.map((run) => () => run(count)),
      this.now,
    );
    return runs.map((run) => (run === null ? Infinity : times[there.indexOf(run)]! / count));
  }

  async #timed(run: () => Promise<unknown>): Promise<number> {
    const start = this.now();
    await run();
    return this.now() - start;
  }
}

/** A form that is refused, or for which memory is lacking, is none. */
function refused(error: unknown): null {
  if (error instanceof SlimclrError) return null;
  throw error;
}

/** The composite graph of a part, its maps and weights inputs and outputs. */
function partGraph(conv: CudaConv, part: CudaPart): Graph {
  const { dtype, batch, inputs, outputs, window, inputSize, outputSize, group } = conv;
  const { strides, pads, dilations } = conv;
  const attributes = { strides, pads, dilations, group };
  const graph = new Graph(part);
  const b = new Builder(graph);
  const input = (name: string, shape: readonly number[]) =>
    graph.input(name, { dtype: dtype as 'float32', shape });
  const x = () => input('x', [batch, inputs, ...inputSize]);
  const dy = () => input('dy', [batch, outputs, ...outputSize]);
  const w = () => input('w', [outputs, inputs / group, ...window]);
  switch (part) {
    case 'forward':
      graph.output('y', b.op('Conv', [x(), w()], attributes));
      break;
    case 'inputGradient':
      graph.output('dx', b.op('ConvInputGrad', [dy(), w()], { ...attributes, inputShape: inputSize }));
      break;
    case 'weightGradient':
      graph.output('dw', b.op('ConvWeightGrad', [x(), dy()], { ...attributes, kernelShape: window }));
  }
  return graph;
}

/** A few numbers again and again: none that is slow to compute with, or that a GPU multiplies with less power. */
function few({ type, count }: Memory): Float32Array | Float64Array | Uint16Array {
  const random = new Random(0);
  const numbers = Float32Array.from({ length: 1000 }, () => random.uniform(-1, 1));
  const drawn = type === 'float16' ? toFloat16(numbers) : numbers;
  const values = type === 'float16' ? new Uint16Array(count) : new Float32Array(count);
  for (let i = 0; i < count; i += drawn.length) values.set(drawn.subarray(0, count - i), i);
  return type === 'float64' ? Float64Array.from(values) : values;
}
