import { elementCount } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import type { Operand } from './evaluate.js';

/** The element of an image at a row and a column. */
export type Pixel = (random: Random, row: number, column: number) => number;

/** Noise, and what photographs, scans and letterboxes have: regions of equal pixels. */
export const images: Readonly<Record<string, Pixel>> = {
  noise: (random) => random.uniform(-1, 1),
  'a white image': () => 2.5,
  'a black image': () => 0,
  'an image below zero': () => -3,
  'an object on white': (random, row, column) => (row > 1 && column > 2 ? random.uniform(-1, 2) : 2),
  'an object on black': (random, row, column) => (row > 1 && column > 2 ? random.uniform(-1, 2) : 0),
  'bars of three rows': (_, row) => Math.floor(row / 3) % 2,
  'a checkerboard': (_, row, column) => (row + column) % 2,
  'few levels': (random) => Math.floor(random.uniform(-2, 3)),
  'huge and tiny values': (random) =>
    [3e38, 3e38, 1e38, 1e-20, 0, -0, -3e38][Math.floor(random.uniform(0, 7))]!,
};

/** Those whose products and sums stay within float32. */
export const moderate: readonly Pixel[] = Object.entries(images)
  .filter(([title]) => title !== 'huge and tiny values')
  .map(([, pixel]) => pixel);

/** A float32 map `[N, C, H, W]` of such images, one kind a sample in turn, `offset` added. */
export function imageOperand(
  shape: readonly number[],
  kinds: readonly Pixel[] = Object.values(images),
  offset = 0,
): Operand {
  const random = new Random(7, ...shape);
  const [channels, height, width] = [shape[1]!, shape[2]!, shape[3]!];
  const pixelOf = (i: number) => kinds[Math.floor(i / (channels * height * width)) % kinds.length]!;
  const values = Array.from({ length: elementCount(shape) }, (_, i) =>
    Math.fround(offset + pixelOf(i)(random, Math.floor(i / width) % height, i % width)),
  );
  return { shape, values };
}
