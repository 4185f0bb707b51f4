import type { ForeignModel } from '../engines/foreignModel.js';
import { SlimclrError } from '../errors.js';
import { elementFormats } from '../onnx/tensorType.js';
import type { TensorData } from '../onnx/safetensors.js';
import type { ModelStructure, Port } from '../onnx/structure.js';
import { batchOf, feedOf, misfit, type FixedInput } from './fixedInputs.js';

export type Outputs = ReadonlyMap<string, TensorData | null>;

/**
 * Outputs of a model for fixed inputs, those of the pieces of a fixed batch one after the other. Null for an output that
 * is no tensor. Throws a SlimclrError for inputs that the model does not take.
 */
export function runModel(
  model: ForeignModel,
  { inputs: ports }: Pick<ModelStructure, 'inputs'>,
  inputs: readonly FixedInput[],
): Outputs {
  const feeds = pieces(ports, inputs);
  const parts = feeds.map((feed) => model.run(feed));
  const [first] = parts;
  if (parts.length === 1) return first!;
  const batched = inputs.filter((input) => input.batched);
  const count = Math.min(...batched.map(({ stored }) => stored.shape[0]!));
  const taken = Math.max(...batched.map(({ name }) => feeds[0]!.get(name)!.shape[0]!)) * parts.length;
  return new Map(
    [...first!.keys()].map((name) => {
      const tensor = joined(parts.map((part) => part.get(name)!));
      // The last piece may have been filled up.
      return [name, tensor?.shape[0] === taken && count < taken ? rows(tensor, 0, count) : tensor];
    }),
  );
}

/** Of the inputs what a model takes at once; of one that takes any number, a single image, for its latency. */
export function singleFeed(
  ports: readonly Port[],
  inputs: readonly FixedInput[],
): ReadonlyMap<string, TensorData> {
  return pieces(ports, inputs, 1)[0]!;
}

/** The feeds of each run. `batch`: of a model that takes any number; default all at once. */
function pieces(
  ports: readonly Port[],
  inputs: readonly FixedInput[],
  batch?: number,
): Map<string, TensorData>[] {
  const known = new Map(inputs.map((input) => [input.name, input]));
  const tensors = ports.map((port) => {
    const input = known.get(port.name);
    if (!input) throw new SlimclrError(`the golden inputs have none for ${port.name}`);
    const feed = feedOf(input);
    const size = input.batched ? (batchOf(port) ?? batch ?? feed.shape[0]!) : feed.shape[0]!;
    const problem = misfit(port, input.batched ? { ...feed, shape: [size, ...feed.shape.slice(1)] } : feed);
    if (problem !== null) throw new SlimclrError(`golden input ${problem}`);
    return { port, feed, size, batched: input.batched };
  });
  const runs = Math.max(
    1,
    ...tensors.map(({ feed, size, batched }) => (batched ? feed.shape[0]! / size : 1)),
  );
  return Array.from(
    { length: Math.ceil(runs) },
    (_, run) =>
      new Map(
        tensors.map(({ port, feed, size, batched }) => [
          port.name,
          batched ? rows(feed, run * size, size) : feed,
        ]),
      ),
  );
}

/** Rows of the first dimension; after the last one the first comes again. */
function rows({ dtype, shape, data }: TensorData, start: number, count: number): TensorData {
  const { array, bytes } = elementFormats[dtype];
  const row = data.length / shape[0]!;
  const chosen = new array(new ArrayBuffer(count * row * bytes));
  for (let i = 0; i < count; i++) {
    const from = ((start + i) % shape[0]!) * row;
    chosen.set(data.subarray(from, from + row) as never, i * row);
  }
  return { dtype, shape: [count, ...shape.slice(1)], data: chosen };
}

/** Tensors one after the other: along the first dimension, or flat where the others differ. */
function joined(parts: readonly (TensorData | null)[]): TensorData | null {
  const whole = parts.filter((part) => part !== null);
  const [first] = whole;
  if (!first || whole.length < parts.length) return null;
  const { dtype } = first;
  const total = whole.reduce((sum, { data }) => sum + data.length, 0);
  const data = new elementFormats[dtype].array(new ArrayBuffer(total * elementFormats[dtype].bytes));
  let at = 0;
  for (const part of whole) {
    data.set(part.data as never, at);
    at += part.data.length;
  }
  const inner = first.shape.slice(1);
  const alike = whole.every(({ shape }) => shape.length > 0 && shape.slice(1).join() === inner.join());
  const length = whole.reduce((sum, { shape }) => sum + (shape[0] ?? 1), 0);
  return { dtype, shape: alike ? [length, ...inner] : [total], data };
}
