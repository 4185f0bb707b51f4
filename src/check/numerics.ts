import { fromFloat16 } from '../onnx/float16.js';
import { formatType, isFloating } from '../onnx/tensorType.js';
import type { TensorData } from '../onnx/safetensors.js';
import type { ModelStructure } from '../onnx/structure.js';
import { checkRow, type CheckRow } from './results.js';
import type { Outputs } from './runModel.js';

/**
 * Largest difference of an output from the golden one, relative to its largest element, that a check accepts by default.
 * Kernels of other processors round otherwise: of 8 bits a whole step, and without VNNI sums of two products saturate.
 */
export const defaultTolerances: Readonly<Record<ModelStructure['precision'], number>> = {
  float32: 1e-3,
  float16: 1e-2,
  int8: 0.05,
};

/** An output to compare with, of a large one every so many elements. */
export interface GoldenOutput {
  /** Of the whole output. */
  readonly shape: readonly number[];
  /** Flat where `stride` is more than 1. */
  readonly kept: TensorData;
  readonly stride: number;
}

/** Elements of an output that are kept: a golden folder is to be committed. */
const keptElements = 2 ** 16;

/** Every so many elements of an output, all of a small one; whole where it need not be kept. */
export function goldenOutput(tensor: TensorData, whole = false): GoldenOutput {
  const { dtype, shape, data } = tensor;
  // An odd number: channels and sides are mostly even, so that all of them have their turn.
  const stride = Math.ceil(data.length / keptElements) | 1;
  if (whole || data.length <= keptElements) return { shape, kept: tensor, stride: 1 };
  const values = data.filter((_: unknown, i: number) => i % stride === 0) as TensorData['data'];
  return { shape, kept: { dtype, shape: [values.length], data: values }, stride };
}

/** The outputs of a model against golden ones, for the same inputs. */
export function checkNumerics(
  model: string,
  golden: ReadonlyMap<string, GoldenOutput | null>,
  now: Outputs,
  tolerance: number,
): CheckRow[] {
  return [...new Set([...golden.keys(), ...now.keys()])].map((name) => {
    const row = { model, kind: 'numerics', item: name, unit: 'error', limit: tolerance } as const;
    const [before, after] = [golden.get(name), now.get(name)];
    if (before === undefined || after === undefined) {
      const reason = before === undefined ? 'there is no golden output of this name' : 'the output is gone';
      return checkRow({ ...row, status: 'failed', reason });
    }
    if (before === null || after === null) {
      const reason = 'not compared: no tensor, or of a type other than numbers';
      return checkRow({ ...row, status: 'skipped', reason });
    }
    const types = [{ dtype: before.kept.dtype, shape: before.shape }, after].map(formatType);
    if (types[0] !== types[1]) return checkRow({ ...row, status: 'failed', reason: types.join(' -> ') });
    const { error, details } = compare(before, after);
    // Not `>`: NaN is a failure.
    const passed = error <= tolerance;
    const reason = Number.isFinite(error) ? null : 'not finite';
    return checkRow({
      ...row,
      status: passed ? 'passed' : 'failed',
      now: Number.isFinite(error) ? error : null,
      reason,
      details: passed ? [] : details,
    });
  });
}

/** Largest difference over the largest golden element, and where it is; infinite for what is not finite. */
function compare(
  { kept, shape, stride }: GoldenOutput,
  { dtype, data }: TensorData,
): { error: number; details: string[] } {
  const same = data.filter((_: unknown, i: number) => i % stride === 0) as TensorData['data'];
  const [a, b] = [numbers(kept), numbers({ dtype, shape: [], data: stride === 1 ? data : same })];
  let [difference, largest, place] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    if (!Number.isFinite(a[i]) || !Number.isFinite(b[i])) {
      if (Object.is(a[i], b[i]) && !Number.isNaN(a[i])) continue;
      return { error: Infinity, details: [`at ${index(i * stride, shape)}: ${a[i]} -> ${b[i]}`] };
    }
    largest = Math.max(largest, Math.abs(a[i]!));
    const size = Math.abs(a[i]! - b[i]!);
    if (size > difference) [difference, place] = [size, i];
  }
  if (difference === 0) return { error: 0, details: [] };
  const details = [`largest difference at ${index(place * stride, shape)}: ${a[place]} -> ${b[place]}`];
  const cosine = smallestCosine(a, b, kept);
  if (cosine) details.push(`smallest cosine of a row: ${cosine.value.toFixed(6)}, row ${cosine.row}`);
  return { error: difference / largest, details };
}

function numbers({ dtype, data }: TensorData): ArrayLike<number> {
  if (dtype === 'float16') return fromFloat16(data as Uint16Array);
  return data instanceof BigInt64Array ? Float64Array.from(data, Number) : data;
}

/** Of the rows of features; null for other outputs. */
function smallestCosine(a: ArrayLike<number>, b: ArrayLike<number>, { dtype, shape }: TensorData) {
  if (shape.length !== 2 || !isFloating(dtype) || shape[1]! < 2) return null;
  const columns = shape[1]!;
  let smallest = { value: Infinity, row: 0 };
  for (let row = 0; row < shape[0]!; row++) {
    let [product, ofA, ofB] = [0, 0, 0];
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      product += a[i]! * b[i]!;
      ofA += a[i]! ** 2;
      ofB += b[i]! ** 2;
    }
    const value = product / Math.sqrt(ofA * ofB);
    if (value < smallest.value) smallest = { value, row };
  }
  return Number.isFinite(smallest.value) ? smallest : null;
}

function index(place: number, shape: readonly number[]): string {
  const indices: number[] = [];
  for (const length of [...shape].reverse()) {
    indices.unshift(place % length);
    place = Math.floor(place / length);
  }
  return `[${indices.join(',')}]`;
}
