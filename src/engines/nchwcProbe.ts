import {
  elementCount,
  type AttributeValue,
  type NamedType,
  type OnnxModel,
  type OnnxNode,
} from '../onnx/model.js';
import type { EngineOptions } from './engineOptions.js';
import { floats, HostGraph } from './hostGraph.js';
import type { TensorData } from '../onnx/safetensors.js';
import { once } from '../once.js';
import { Random } from '../random.js';
import { convWeightLayout } from '../targets/cpu/guard.js';
import { pack } from '../targets/parameterLayout.js';
import { reasonOf } from '../errors.js';

/** Channels of a block of ONNX Runtime's blocked kernels, or one line that says why they are not to be used. */
export type BlockedKernels =
  | {
      readonly blockSize: 8 | 16;
      /** Whether they take groups over a plain image: ONNX Runtime up to 1.30 does, 1.31 and later refuse them. */
      readonly plainGroups: boolean;
    }
  | { readonly reason: string };

const blockedDomain = 'com.microsoft.nchwc';
/** Whole blocks for either block size, so that no kernel gets a part of one: that could end the process. */
const channels = 32;
/** Of |difference| over the larger of 1 and |expected|: float32 in another order of summation. */
const tolerance = 1e-4;

const probed = new Map<string, Promise<BlockedKernels>>();

/**
 * Whether ONNX Runtime's internal domain `com.microsoft.nchwc` is there and right: finds the block size and
 * checks each operator outside the standard set that the cpu target emits against standard ones. The answer for
 * the cpu provider is kept for the life of the process. Does not throw.
 */
export async function probeBlockedKernels({
  provider,
  library = '',
}: Pick<EngineOptions, 'provider' | 'library'>): Promise<BlockedKernels> {
  if (provider !== 'cpu') return { reason: `the ${provider} provider has no blocked kernels` };
  return once(probed, library, () => probe(library).catch((error: unknown) => ({ reason: reasonOf(error) })));
}

async function probe(library: string): Promise<BlockedKernels> {
  // Elsewhere the operators may be registered with no kernels behind them.
  if (process.arch !== 'x64') return { reason: `no blocked kernels are known for ${process.arch}` };
  const block = await findBlockSize(library);
  if (block !== 8 && block !== 16) return { reason: `blocks of ${block} channels; known are 8 and 16` };
  const wrong = await findWrongOperator(block, library);
  if (wrong !== null) return { reason: `${wrong} gives wrong numbers` };
  return { blockSize: block, plainGroups: await takesPlainGroups(block, library) };
}

/** Whether two groups of two plain channels are taken, and computed rightly. */
async function takesPlainGroups(block: 8 | 16, library: string): Promise<boolean> {
  const graph = new ProbeGraph(library);
  const x = graph.random([2, 4, 6, 5]);
  const shape = [channels, 2, 3, 3];
  const weights = randomValues(shape);
  const attributes = { strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1], group: 2 };
  const expected = graph.node('Conv', [x, graph.input(weights, shape)], attributes);
  const packed = graph.input(pack(weights, shape, convWeightLayout(2, block)), shape);
  const blocked = graph.blocked('Conv', [x, packed], attributes);
  const actual = graph.blocked('ReorderOutput', [blocked], { channels });
  return graph
    .run(
      [actual, expected],
      [
        [2, channels, 6, 5],
        [2, channels, 6, 5],
      ],
    )
    .then(
      ([a, e]) => close(a!, e!),
      () => false,
    );
}

/** Reorders `[1, C, 1, 2]` of 0, 1, 2, ...: in the first pixel of the first block, lane i holds 2i. */
async function findBlockSize(library: string): Promise<number> {
  const graph = new ProbeGraph(library);
  const values = Float32Array.from({ length: 2 * channels }, (_, i) => i);
  const x = graph.input(values, [1, channels, 1, 2]);
  const [reordered] = await graph.run([graph.blocked('ReorderInput', [x])], [[1, channels, 1, 2]]);
  return reordered!.findIndex((value, i) => value !== 2 * i);
}

/** The first operator whose result is not what standard operators give; null when there is none. */
async function findWrongOperator(block: 8 | 16, library: string): Promise<string | null> {
  const graph = new ProbeGraph(library);
  const image = [2, channels, 6, 5];
  const checks: { operator: string; actual: string; expected: string; shape: readonly number[] }[] = [];
  const check = (operator: string, actual: string, expected: string, shape: readonly number[] = image) =>
    checks.push({ operator, actual, expected, shape });
  const x = graph.random(image);
  const sum = graph.random(image);
  const bias = graph.random([channels]);
  const blockedX = graph.blocked('ReorderInput', [x]);
  const blockedSum = graph.blocked('ReorderInput', [sum]);
  const plain = (value: string) => graph.blocked('ReorderOutput', [value], { channels });
  check('ReorderOutput', plain(blockedX), graph.node('Identity', [x]));
  check(
    'ReorderOutput with channels_last',
    graph.blocked('ReorderOutput', [blockedX], { channels, channels_last: 1 }),
    graph.node('Transpose', [x], { perm: [0, 2, 3, 1] }),
    [2, 6, 5, channels],
  );

  /** Bias, a sum and ReLU in one node against one node each. */
  const checkConv = (
    operator: string,
    image: string,
    blockedImage: string,
    inputs: number,
    group: number,
  ) => {
    const shape = [channels, inputs, 3, 3];
    const weights = randomValues(shape);
    const layout = convWeightLayout(inputs, block);
    const attributes = { strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1], group };
    const convolved = graph.node('Conv', [image, graph.input(weights, shape), bias], attributes);
    const blockedWeights = graph.input(pack(weights, shape, layout), shape);
    const fused = graph.blocked('Conv', [blockedImage, blockedWeights, bias, blockedSum], {
      ...attributes,
      activation: 'Relu',
    });
    check(operator, plain(fused), graph.node('Relu', [graph.node('Add', [convolved, sum])]));
  };
  checkConv('Conv', x, blockedX, channels, 1);
  checkConv('depthwise Conv', x, blockedX, 1, channels);
  const photo = graph.random([2, 3, 6, 5]);
  checkConv('Conv of a plain image', photo, photo, 3, 1);

  const window = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };
  const pooled = [2, channels, 3, 3];
  check(
    'MaxPool',
    plain(graph.blocked('MaxPool', [blockedX], window)),
    graph.node('MaxPool', [x], window),
    pooled,
  );

  const a = graph.random([2, 1, 16, 8]);
  const b = graph.random([2, 3, 4, 8]);
  const transposed = graph.node('Transpose', [b], { perm: [0, 1, 3, 2] });
  check(
    'FusedMatMul',
    graph.node('FusedMatMul', [a, b], { transB: 1, alpha: { float: 1 } }, 'com.microsoft'),
    graph.node('MatMul', [a, transposed]),
    [2, 3, 16, 4],
  );

  // Masks: 1 where x > 0, and 1 where x >= 0.
  const signs = graph.input(Float32Array.of(-2, -1e-6, 0, 1e-6, 3), [1, 1, 1, 5]);
  const mask = (alpha: number, beta: number) =>
    graph.node('HardSigmoid', [signs], { alpha: { float: alpha }, beta: { float: beta } });
  const positive = graph.input(Float32Array.of(0, 0, 0, 1, 1), [1, 1, 1, 5]);
  const notNegative = graph.input(Float32Array.of(0, 0, 1, 1, 1), [1, 1, 1, 5]);
  check('HardSigmoid', mask(1e30, 0), graph.node('Identity', [positive]), [1, 1, 1, 5]);
  check('HardSigmoid', mask(1e38, 1), graph.node('Identity', [notNegative]), [1, 1, 1, 5]);

  const results = await graph.run(
    checks.flatMap(({ actual, expected }) => [actual, expected]),
    checks.flatMap(({ shape }) => [shape, shape]),
  );
  return checks.find((_, i) => !close(results[2 * i]!, results[2 * i + 1]!))?.operator ?? null;
}

/** A model built node by node, with its inputs' values. */
class ProbeGraph {
  constructor(private readonly library: string) {}

  readonly #feeds: Record<string, TensorData> = {};
  readonly #inputs: NamedType[] = [];
  readonly #nodes: OnnxNode[] = [];

  /** A run-time input: what is constant ONNX Runtime would compute, or reorder, when it loads the model. */
  input(values: Float32Array, shape: readonly number[]): string {
    const name = `input${this.#inputs.length}`;
    this.#inputs.push({ name, type: { dtype: 'float32', shape } });
    this.#feeds[name] = floats(values, shape);
    return name;
  }

  random(shape: readonly number[]): string {
    return this.input(randomValues(shape), shape);
  }

  node(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    domain = '',
  ): string {
    const name = `node${this.#nodes.length}`;
    this.#nodes.push({ name, opType, domain, inputs, outputs: [name], attributes });
    return name;
  }

  /** A node of the blocked domain. */
  blocked(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    return this.node(opType, inputs, attributes, blockedDomain);
  }

  async run(outputs: readonly string[], shapes: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const model: OnnxModel = {
      graphName: 'probe',
      opsets: { '': 21, 'com.microsoft': 1, [blockedDomain]: 1 },
      irVersion: 10,
      producer: 'slimclr',
      producerVersion: '',
      metadata: {},
      inputs: this.#inputs,
      outputs: outputs.map((name, i) => ({ name, type: { dtype: 'float32', shape: shapes[i]! } })),
      values: [],
      initializers: [],
      nodes: this.#nodes,
    };
    // Each node as it is: an optimised standard node would become a blocked one.
    const graph = await HostGraph.open(
      model,
      { provider: 'cpu', threads: 1, library: this.library },
      { optimization: 'disabled' },
    );
    try {
      const results = await graph.run(this.#feeds);
      return outputs.map((name) => results[name]!.data as Float32Array);
    } finally {
      await graph.close();
    }
  }
}

function randomValues(shape: readonly number[]): Float32Array {
  const random = new Random(elementCount(shape));
  return new Float32Array(elementCount(shape)).map(() => random.uniform(-1, 1));
}

function close(actual: Float32Array, expected: Float32Array): boolean {
  return (
    actual.length === expected.length &&
    expected.every((e, i) => Math.abs(actual[i]! - e) <= tolerance * Math.max(1, Math.abs(e)))
  );
}
