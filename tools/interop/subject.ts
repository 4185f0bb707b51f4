import { basename } from 'node:path';
import { HostGraph, type HostTensors } from '../../src/engines/hostGraph.js';
import { SlimclrError } from '../../src/errors.js';
import { elementCount, type TensorType } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { Random } from '../../src/random.js';

/** A model with inputs and what ONNX Runtime's CPU provider makes of them. */
export interface Subject {
  readonly name: string;
  readonly path: string;
  readonly feeds: HostTensors;
  readonly expected: HostTensors;
}

/** Images of a model whose batch is not fixed. */
const images = 4;
/** Sides of a model that takes images of any size. */
const sides = { height: 45, width: 61 };
/** First word of the stream that images are drawn from. */
const imageStream = 0x696d6773;

export async function openSubject(path: string): Promise<Subject> {
  const graph = await HostGraph.open(path, { provider: 'cpu', threads: 0 });
  try {
    const feeds = Object.fromEntries(
      graph.model.inputs.map(({ name, type }, index) => [name, drawn(type, index, path)]),
    );
    return { name: basename(path, '.onnx'), path, feeds, expected: await graph.run(feeds) };
  } finally {
    await graph.close();
  }
}

function drawn({ dtype, shape: dims }: TensorType, index: number, path: string): TensorData {
  const shape = dims.map((size, axis) =>
    typeof size === 'number' ? size : axis === 0 ? images : sides[size as keyof typeof sides],
  );
  const random = new Random(imageStream, index);
  if (dtype === 'float32') return normalImages(shape, random);
  if (dtype === 'uint8')
    return { dtype, shape, data: pixels(shape, 255, () => random.integer(256), Uint8Array) };
  throw new SlimclrError(`${path}: an input of ${dtype}; accepted: float32, uint8`);
}

/** Random images; the last one is flat, as the background of a photograph is. */
export function normalImages(shape: readonly number[], random: Random): TensorData {
  return { dtype: 'float32', shape, data: pixels(shape, 1, () => random.normal(), Float32Array) };
}

function pixels<T extends Float32Array | Uint8Array>(
  shape: readonly number[],
  flat: number,
  next: () => number,
  array: new (count: number) => T,
): T {
  const values = new array(elementCount(shape));
  const [count] = shape as [number];
  const varied = count === 1 ? values.length : values.length - values.length / count;
  for (let i = 0; i < values.length; i++) values[i] = i < varied ? next() : flat;
  return values;
}
