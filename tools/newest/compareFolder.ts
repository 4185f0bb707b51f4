import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeModel, elementCount, valuesOf, type TypedArray } from '../../src/onnx/model.js';
import { readSafetensors, writeSafetensors, type TensorData } from '../../src/onnx/safetensors.js';
import type { GraphEntry } from '../../src/programs/manifest.js';
import { Random } from '../../src/random.js';
import { HostGraph } from '../../src/engines/hostGraph.js';
import type { PythonRuntime } from './pythonRuntime.js';

export interface Comparison {
  /** What is wrong, in one line; null when nothing is. */
  readonly problem: string | null;
  /** Largest |difference| of an output over its largest |value|. */
  readonly error: number;
}

/** Of |difference| over the largest |value|: float32 in another order of summation, through all layers. */
const tolerance = 1e-3;
/** What stands for a symbolic dimension. */
const symbolic = 24;

/** Runs a graph of a program folder on both runtimes: parameters at their defaults, other inputs drawn. */
export async function compareFolder(
  folder: string,
  { name, file }: GraphEntry,
  runtime: PythonRuntime,
): Promise<Comparison> {
  const path = join(folder, file);
  const feeds = drawn(path);
  const [feedsFile, results] = [join(folder, 'feeds'), join(folder, 'results')];
  await writeSafetensors(feedsFile, feeds);

  const graph = await HostGraph.open(path, { provider: 'cpu', threads: 2 }, { optimization: 'disabled' });
  let expected: Map<string, TypedArray>;
  try {
    const outputs = await graph.run(Object.fromEntries(feeds));
    expected = new Map(Object.entries(outputs).map(([output, { data }]) => [output, data]));
  } finally {
    await graph.close();
  }

  const refused = await runtime.run({ model: path, feeds: feedsFile, results });
  if (refused !== null) return { problem: refused, error: NaN };
  const { tensors: actual } = await readSafetensors(results);
  let worst = { output: name, error: 0 };
  for (const [output, data] of expected) {
    const error = errorOf(actual.get(output)?.data, data);
    if (!(error <= worst.error)) worst = { output, error };
  }
  const problem =
    worst.error <= tolerance ? null : `${worst.output} differs by ${worst.error.toExponential(1)}`;
  return { problem, error: worst.error };
}

/** Values for the inputs without a default. */
function drawn(path: string): Map<string, TensorData> {
  const model = decodeModel(readFileSync(path));
  const defaults = new Set(model.initializers.map((initializer) => initializer.name));
  const random = new Random(1);
  return new Map(
    model.inputs
      .filter((input) => !defaults.has(input.name))
      .map(({ name, type }) => {
        const shape = type.shape.map((d) => (typeof d === 'string' ? symbolic : d));
        const data = valuesOf(type.dtype, new Uint8Array(8 * elementCount(shape))).subarray(
          0,
          elementCount(shape),
        );
        // Integers are labels and places, of which 0 always exists.
        if (data instanceof Float32Array || data instanceof Float64Array)
          data.forEach((_, at) => (data[at] = random.normal()));
        return [name, { dtype: type.dtype, shape, data }];
      }),
  );
}

/** Infinite where a value is missing or not a number. */
function errorOf(actual: TypedArray | undefined, expected: TypedArray): number {
  if (actual?.length !== expected.length) return Infinity;
  let [difference, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const value = Number(expected[i]);
    const here = Math.abs(Number(actual[i]) - value);
    if (!(here <= difference)) difference = here;
    largest = Math.max(largest, Math.abs(value));
  }
  if (Number.isNaN(difference)) return Infinity;
  return difference === 0 ? 0 : difference / largest;
}
