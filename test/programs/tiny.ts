import { HostGraph, withoutDefaults } from '../../src/engines/hostGraph.js';
import { tensorOf } from '../support/tensors.js';
import { parseConfig } from '../../src/config/load.js';
import type { MethodConfig, MethodOf } from '../../src/config/methods.js';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import type { Declarations } from '../../src/nn/parameter.js';
import { elementCount } from '../../src/onnx/model.js';
import { methodPrograms, networkOf } from '../../src/methods/index.js';
import type { Program } from '../../src/programs/program.js';
import { Random } from '../../src/random.js';
import { emit } from '../../src/targets/emit.js';
import { lower } from '../../src/targets/lower.js';
import { portable } from '../../src/targets/portable.js';
import type { Target } from '../../src/targets/target.js';
import { normal, positive } from '../support/samples.js';
import { trainingEngine } from '../support/trainingEngine.js';

type MethodInput = Partial<Extract<ConfigInput['method'], { kind: 'moco-v2' }>>;

/** ResNet-20 with two widths on four images of 8x8 pixels: every kind of program, portable, in milliseconds. */
export function tinyConfig({
  method,
  ...overrides
}: Omit<ConfigInput, 'method'> & { method?: MethodInput } = {}): Config {
  return parseConfig({
    widths: [1, 0.5],
    batchSize: 4,
    data: { imageSize: 8 },
    runtime: { target: 'portable' },
    ...overrides,
    method: { kind: 'moco-v2', queueSize: 8, dimension: 6, temperature: 0.2, ...method },
  });
}

/** Random values for every parameter and statistic, gammas and variances positive, none at its initial value. */
export function randomWeights({ parameters, statistics }: Declarations): Record<string, number[]> {
  const values: Record<string, number[]> = {};
  for (const [i, { name, shape, role }] of parameters.entries()) {
    const random = new Random(101, i);
    const count = elementCount(shape);
    values[name] = (role === 'gamma' ? positive(random, count) : normal(random, count)).map(Math.fround);
  }
  for (const [i, { name, shape, initial }] of statistics.entries()) {
    const random = new Random(102, i);
    const count = elementCount(shape);
    values[name] = (initial === 1 ? positive(random, count) : normal(random, count)).map(Math.fround);
  }
  return values;
}

/**
 * Runs a program; inputs that `feeds` lacks are taken from `weights`, under the prefix `key.` too. A symbolic
 * dimension is as long as its values make it. On the ONNX Runtime of the target.
 */
export async function runProgram(
  { graph }: Program,
  feeds: Readonly<Record<string, readonly number[]>>,
  weights: Readonly<Record<string, readonly number[]>> = {},
  target: Target = portable,
): Promise<Record<string, number[]>> {
  const noWeights = { location: '', find: () => ({ offset: 0, length: 0 }) };
  const model = emit(lower(graph, target), { opset: target.opset, version: '', weights: noWeights });
  const engine =
    target.name === 'ort-training' ? await trainingEngine() : ({ provider: 'cpu', threads: 1 } as const);
  const program = await HostGraph.open(withoutDefaults(model), engine);
  const tensors = graph.inputs.map(({ name, type: { dtype, shape } }) => {
    const values = feeds[name] ?? weights[name.replace(/^key\./, '')];
    if (!values) throw new Error(`no values for ${name}`);
    const rest = shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1);
    const dims = shape.map((d) => (typeof d === 'number' ? d : values.length / rest));
    return [name, tensorOf(dtype, values, dims)] as const;
  });
  try {
    const results = await program.run(Object.fromEntries(tensors));
    return Object.fromEntries(
      Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array)]),
    );
  } finally {
    await program.close();
  }
}

/** A tiny network and what its query and key programs read. */
export function tinyStep(config: Config = tinyConfig()) {
  const network = networkOf(config);
  const { batchSize, data } = config;
  const { dimension, queueSize } = queueOf(config.method);
  const rows = (stream: number, count: number, length: number) =>
    Array.from({ length: count }, (_, i) => {
      const row = normal(new Random(stream, i), length);
      const norm = Math.hypot(...row);
      return row.map((x) => Math.fround(x / norm));
    });
  return {
    config,
    network,
    weights: randomWeights(network.declarations),
    images: normal(new Random(103), batchSize * 3 * data.imageSize ** 2).map(Math.fround),
    /** Unit rows. */
    keys: rows(104, batchSize, dimension),
    queue: rows(105, queueSize, dimension),
  };
}

/** The method of tinyConfig. */
export function queueOf(method: MethodConfig): MethodOf<'moco-v2'> {
  if (method.kind !== 'moco-v2') throw new Error(`${method.kind} is not moco-v2`);
  return method;
}

/** One program of a config's method. */
export function programOf(config: Config, name: string): Program {
  return methodPrograms(config).programs.find((program) => program.name === name)!;
}
