import { elementCount } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import type { Operand } from './evaluate.js';
import { normal } from './samples.js';

/** A float32 tensor of standard normal elements that float32 holds exactly. */
export function randomOperand(shape: readonly number[], ...name: readonly number[]): Operand {
  return { shape, values: normal(new Random(...name), elementCount(shape)).map(Math.fround) };
}
