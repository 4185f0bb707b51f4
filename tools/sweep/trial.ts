import { elementCount, encodeModel, type AttributeValue, type OnnxNode } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import type { Engine, LoadedGraph, Memory, Place } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { convWeightLayout } from '../../src/targets/cpu/guard.js';
import { pack } from '../../src/targets/parameterLayout.js';
import { blockImage } from './blockImage.js';
import type { ConvCase, SweepCase } from './sweepCase.js';

const blockedDomain = 'com.microsoft.nchwc';
/** Elements before and after each buffer: what a kernel reads or writes outside lands there. */
const margin = 4096;
const mark = 12345;
/** Of |difference| over the larger of 1 and the largest |expected|: float32 in another order of summation. */
const tolerance = 2e-5;

/** Channels of a block. */
export type BlockSize = 8 | 16;

interface Operand {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** A blocked node, the standard one that it must equal, and what both get. */
interface Comparison {
  readonly blocked: { readonly op: string; readonly attributes: Attributes; readonly inputs: Inputs };
  /** Absent where the result is a pure reordering of the input. */
  readonly standard?: { readonly op: string; readonly attributes: Attributes; readonly inputs: Inputs };
  /** Shape of what the blocked node returns. */
  readonly shape: readonly number[];
  /** From the standard node's result, row-major, to what the blocked one must have in memory. */
  expected(standard: Float32Array): Float32Array;
}

type Attributes = Readonly<Record<string, AttributeValue>>;
/** null stands for an optional input that is absent. */
type Inputs = readonly (Operand | null)[];

/** Runs cases one after the other in this process. Graphs are kept while neighbours share attributes. */
export class KernelTrial {
  #engine: Engine | undefined;
  #graph: { readonly key: string; readonly graph: LoadedGraph } | undefined;

  constructor(
    private readonly block: BlockSize,
    private readonly threads: number,
  ) {}

  /** What is wrong with a case in one line; null when the numbers are right and nothing else was touched. */
  async problem(one: SweepCase): Promise<string | null> {
    const comparison = compare(one, this.block);
    const { blocked, standard, shape } = comparison;
    const count = elementCount(shape);
    const engine = (this.#engine ??= await openEngine({ provider: 'cpu', threads: this.threads }));
    const memories: Memory[] = [];
    /** Values with a margin before and behind them. */
    const place = async (values: Float32Array, around: number, shape: readonly number[]): Promise<Place> => {
      const memory = engine.allocate('float32', values.length + 2 * margin);
      memories.push(memory);
      await engine.write(memory, new Float32Array(memory.count).fill(around));
      await engine.write(memory, values, margin);
      return { memory, offset: margin, shape };
    };
    try {
      const graph = await this.#graphFor(engine, comparison);
      const inputs: Record<string, Place> = {};
      for (const [prefix, operands] of Object.entries({
        blocked: blocked.inputs,
        standard: standard?.inputs,
      })) {
        for (const [i, operand] of (operands ?? []).entries()) {
          // NaN around it: an element that a kernel reads outside spoils the result.
          if (operand) inputs[`${prefix}${i}`] = await place(operand.values, NaN, operand.shape);
        }
      }
      const outputs: Record<string, Place> = {
        blocked: await place(new Float32Array(count).fill(mark), mark, shape),
        ...(standard && { standard: await place(new Float32Array(count), 0, shape) }),
      };
      await engine.run(engine.bind(graph, inputs, outputs));
      const read = async ({ memory }: Place) => (await engine.read(memory as Memory<'float32'>)).slice();
      const memory = await read(outputs['blocked']!);
      const result = memory.subarray(margin, margin + count);
      const reference = outputs['standard']
        ? (await read(outputs['standard'])).subarray(margin, margin + count)
        : blocked.inputs[0]!.values;
      const expected = comparison.expected(reference);
      const outside = memory.reduce(
        (n, value, i) => n + Number(value !== mark && (i < margin || i >= margin + count)),
        0,
      );
      if (outside > 0) return `wrote ${outside} elements outside its result of ${count}`;
      return wrongNumbers(result, expected);
    } catch (error) {
      return `error: ${(error as Error).message.split('\n')[0]!.replace(/^.*was false\. /, '')}`;
    } finally {
      for (const memory of memories) engine.free(memory);
    }
  }

  async #graphFor(engine: Engine, { blocked, standard }: Comparison): Promise<LoadedGraph> {
    const nodes = [node('blocked', blockedDomain, blocked)];
    if (standard) nodes.push(node('standard', '', standard));
    const key = JSON.stringify(nodes);
    if (this.#graph?.key === key) return this.#graph.graph;
    await this.#graph?.graph.close();
    this.#graph = undefined;
    const value = (name: string, rank: number) => ({
      name,
      type: { dtype: 'float32' as const, shape: Array.from({ length: rank }, (_, i) => `${name}${i}`) },
    });
    const ranks = (prefix: string, inputs: Inputs = []) =>
      inputs.flatMap((operand, i) => (operand ? [value(`${prefix}${i}`, operand.shape.length)] : []));
    const bytes = encodeModel({
      graphName: 'trial',
      opsets: { '': 21, [blockedDomain]: 1 },
      irVersion: 10,
      producer: 'slimclr',
      producerVersion: '0',
      metadata: {},
      inputs: [...ranks('blocked', blocked.inputs), ...ranks('standard', standard?.inputs)],
      outputs: nodes.map(({ name }) => value(name, 4)),
      values: [],
      initializers: [],
      nodes,
    });
    const graph = await engine.load(bytes, { name: 'trial', optimization: 'disabled' });
    this.#graph = { key, graph };
    return graph;
  }

  async close(): Promise<void> {
    await this.#engine?.close();
    this.#engine = undefined;
    this.#graph = undefined;
  }
}

function node(name: string, domain: string, { op, attributes, inputs }: Comparison['blocked']): OnnxNode {
  const names = inputs.map((operand, i) => (operand ? `${name}${i}` : ''));
  return { name, opType: op, domain, inputs: names, outputs: [name], attributes };
}

function wrongNumbers(actual: Float32Array, expected: Float32Array): string | null {
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
  // Not `> tolerance`: a NaN is wrong.
  const wrong = actual.reduce(
    (n, value, i) => n + Number(!(Math.abs(value - expected[i]!) <= tolerance * scale)),
    0,
  );
  return wrong === 0 ? null : `${wrong} of ${actual.length} elements wrong`;
}

function compare(one: SweepCase, block: BlockSize): Comparison {
  switch (one.op) {
    case 'Conv':
      return compareConv(one, block);
    case 'MaxPool': {
      const { kernel, strides, dilations, pads } = one;
      const attributes = { kernel_shape: kernel, strides, dilations, pads };
      return comparePool(one, outputSize(one), attributes, block);
    }
    case 'GlobalAveragePool':
      return comparePool(one, [1, 1], {}, block);
    case 'ReorderInput': {
      const { batch, channels, size, channelsLast } = one;
      const whole = Math.ceil(channels / block) * block;
      const x = image(one, [batch, ...(channelsLast ? [...size, channels] : [channels, ...size])]);
      const attributes = { channels_last: Number(channelsLast) };
      return {
        blocked: { op: one.op, attributes, inputs: [x] },
        shape: [batch, whole, ...size],
        expected: (values) => {
          const rows = channelsLast ? channelsFirst(values, channels, area(size)) : values;
          return blockImage(resizeChannels(rows, channels, whole, area(size)), whole, area(size), block);
        },
      };
    }
    case 'ReorderOutput': {
      const { batch, channels, size, channelsLast } = one;
      const whole = Math.ceil(channels / block) * block;
      const x = image(one, [batch, whole, ...size]);
      return {
        blocked: {
          op: one.op,
          attributes: { channels, channels_last: Number(channelsLast) },
          inputs: [{ ...x, values: blockImage(x.values, whole, area(size), block) }],
        },
        shape: [batch, ...(channelsLast ? [...size, channels] : [channels, ...size])],
        expected: () => {
          const rows = resizeChannels(x.values, whole, channels, area(size));
          return channelsLast ? channelsFirst(rows, area(size), channels) : rows;
        },
      };
    }
  }
}

function compareConv(one: ConvCase, block: BlockSize): Comparison {
  const { batch, inputs, outputs, group, size, kernel, strides, dilations, pads } = one;
  const pixels = area(outputSize(one));
  const x = image(one, [batch, inputs, ...size]);
  const w = weights(one, [outputs, Math.floor(inputs / group), ...kernel]);
  const bias = one.bias ? random([outputs]) : null;
  const shape = [batch, outputs, ...outputSize(one)];
  const sum = one.sum ? image(one, shape) : null;
  const attributes = { strides, dilations, pads, group };
  // Its own rule, not the guard's convMode: the sweep is there to find the guard wrong.
  const layout = convWeightLayout(w.shape[1]!, block);
  const plainImage = inputs / group < block && !(inputs === group && outputs === group);
  return {
    blocked: {
      op: 'Conv',
      attributes: {
        ...attributes,
        ...(one.relu && { activation: 'Relu' }),
        ...(one.hardSigmoid && {
          activation: 'HardSigmoid',
          activation_params: { floats: one.hardSigmoid },
        }),
      },
      inputs: [
        plainImage ? x : { ...x, values: blockImage(x.values, inputs, area(size), block) },
        { ...w, values: pack(w.values, w.shape, layout) },
        bias,
        sum && { ...sum, values: blockImage(sum.values, outputs, pixels, block) },
      ],
    },
    standard: { op: 'Conv', attributes, inputs: [x, w, bias] },
    shape,
    expected: (values) => {
      const total = sum ? values.map((value, i) => value + sum.values[i]!) : values;
      const activated = total.map((value) => activation(one, value));
      return blockImage(activated, outputs, pixels, block);
    },
  };
}

function activation({ relu, hardSigmoid }: ConvCase, value: number): number {
  if (relu) return Math.max(0, value);
  return hardSigmoid ? Math.max(0, Math.min(1, hardSigmoid[0] * value + hardSigmoid[1])) : value;
}

function comparePool(
  one: Exclude<SweepCase, ConvCase>,
  outSize: readonly [number, number],
  attributes: Attributes,
  block: BlockSize,
): Comparison {
  const { op, batch, channels, size } = one;
  const x = image(one, [batch, channels, ...size]);
  return {
    blocked: {
      op,
      attributes,
      inputs: [{ ...x, values: blockImage(x.values, channels, area(size), block) }],
    },
    standard: { op, attributes, inputs: [x] },
    shape: [batch, channels, ...outSize],
    expected: (values) => blockImage(values, channels, area(outSize), block),
  };
}

function outputSize({
  size,
  kernel,
  strides,
  dilations,
  pads,
}: Pick<ConvCase, 'size' | 'kernel' | 'strides' | 'dilations' | 'pads'>): [number, number] {
  const along = (axis: 0 | 1) => {
    const span = dilations[axis] * (kernel[axis] - 1) + 1;
    return Math.floor((size[axis] + pads[axis] + pads[axis + 2]! - span) / strides[axis]) + 1;
  };
  return [along(0), along(1)];
}

/** Matrices `[rows, columns]`, one after the other, transposed: from channels last to channels first. */
function channelsFirst(values: Float32Array, columns: number, rows: number): Float32Array {
  return values.map((_, i) => {
    const within = i % (rows * columns);
    return values[i - within + (within % rows) * columns + Math.floor(within / rows)]!;
  });
}

/** `[N, from, pixels]` as `[N, to, pixels]`: channels cut off, or zeros added. */
function resizeChannels(values: Float32Array, from: number, to: number, pixels: number): Float32Array {
  const batch = values.length / (from * pixels);
  const resized = new Float32Array(batch * to * pixels);
  for (let n = 0; n < batch; n++) {
    const start = n * from * pixels;
    resized.set(values.subarray(start, start + Math.min(from, to) * pixels), n * to * pixels);
  }
  return resized;
}

function area([height, width]: readonly [number, number]): number {
  return height * width;
}

/** An image of the kind that a case has: regions of 3x3 equal pixels if it is flat. */
function image({ images }: SweepCase, shape: readonly number[]): Operand {
  if (images !== 'flat') return random(shape);
  const [height, width] = [shape.at(-2)!, shape.at(-1)!];
  const values = new Float32Array(elementCount(shape)).map((_, i) => {
    const [map, row, column] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
    return [-1, 0, 1, 1][(map + Math.floor(row / 3) + 2 * Math.floor(column / 3)) % 4]!;
  });
  return { shape, values };
}

function weights({ minusTap }: ConvCase, shape: readonly number[]): Operand {
  if (minusTap === undefined) return random(shape);
  const taps = elementCount(shape.slice(2));
  return {
    shape,
    values: Float32Array.from({ length: elementCount(shape) }, (_, i) => (i % taps === minusTap ? -1 : 0)),
  };
}

function random(shape: readonly number[]): Operand {
  const source = new Random(elementCount(shape));
  const values = new Float32Array(elementCount(shape));
  for (let i = 0; i < values.length; i++) values[i] = source.uniform(-1, 1);
  return { shape, values };
}
