import { elementCount } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';

export type NamedTensors = ReadonlyMap<string, TensorData>;

/** How far a tensor is from PyTorch's float64 run. */
export interface TensorError {
  /** Largest absolute difference, divided by the largest entry of the float64 run. */
  readonly largest: number;
  /** L2 norm of the difference, divided by that of the float64 run. */
  readonly l2: number;
}

/** Errors by name; null where only one side has the tensor, or the shapes differ. */
export type Errors = ReadonlyMap<string, TensorError | null>;

export interface TensorResult {
  readonly name: string;
  readonly error: number;
  /** The same error of PyTorch's own float32 runs, the larger one. */
  readonly pytorchError: number;
  readonly bound: number;
  readonly within: boolean;
  /** Within the bound only because PyTorch's float32 runs are off as well. */
  readonly excused: boolean;
}

export interface QuantityResult {
  readonly quantity: string;
  /** The bound where PyTorch's own error does not raise it. */
  readonly tolerance: number;
  readonly tensors: readonly TensorResult[];
  /** Names that only one side has, or that have another shape. */
  readonly mismatched: readonly string[];
  readonly within: boolean;
}

interface Rule {
  readonly pattern: RegExp;
  readonly quantity: string;
  readonly tolerance: number;
  /** Whether twice PyTorch's own float32 error is allowed where that is larger. */
  readonly excusable: boolean;
}

/** The first matching rule holds; `$1` in a quantity's name is the width. */
const rules: readonly Rule[] = [
  { pattern: /^keys[12]?$/, quantity: 'keys', tolerance: 1e-5, excusable: true },
  {
    pattern: /^(w[\d.]+)\.(?:loss|info_nce|nt_xent|cross_entropy|seed|distillation)$/,
    quantity: '$1 losses',
    tolerance: 1e-5,
    excusable: false,
  },
  { pattern: /^(w[\d.]+)\.embedding$/, quantity: '$1 embeddings', tolerance: 1e-5, excusable: true },
  { pattern: /^(w[\d.]+)\.logits$/, quantity: '$1 logits', tolerance: 1e-5, excusable: true },
  { pattern: /^(w[\d.]+)\.grad\..*$/, quantity: '$1 gradients', tolerance: 1e-4, excusable: true },
  { pattern: /^grad\..*$/, quantity: 'summed gradients', tolerance: 1e-4, excusable: true },
  {
    pattern: /^new\.(?:velocity|first_moment|second_moment)\..*$/,
    quantity: 'slots of the optimiser',
    tolerance: 1e-4,
    excusable: true,
  },
  { pattern: /^new\.queue$/, quantity: 'queue', tolerance: 1e-5, excusable: true },
  {
    pattern: /^new\.key\..*\.running_.*$/,
    quantity: 'key batch-norm statistics',
    tolerance: 1e-5,
    excusable: true,
  },
  { pattern: /^new\.key\..*$/, quantity: 'key parameters', tolerance: 1e-5, excusable: true },
  { pattern: /^new\..*\.running_.*$/, quantity: 'batch-norm statistics', tolerance: 1e-5, excusable: true },
  { pattern: /^new\..*$/, quantity: 'updated parameters', tolerance: 1e-5, excusable: true },
];

/** The error of every tensor that `rules` compare. A narrow width's block counts as 0 beyond it. */
export function errorsOf(tensors: NamedTensors, float64: NamedTensors): Map<string, TensorError | null> {
  const errors = new Map<string, TensorError | null>();
  for (const name of new Set([...float64.keys(), ...tensors.keys()])) {
    if (!rules.some(({ pattern }) => pattern.test(name))) continue;
    const [tensor, truth] = [tensors.get(name), float64.get(name)];
    if (tensor && truth && fits(tensor.shape, truth.shape)) {
      const values = padded(tensor, truth.shape);
      errors.set(name, errorOf(values, truth.data as Float64Array, scaleOf(name, float64)));
    } else errors.set(name, null);
  }
  return errors;
}

/**
 * Judges our errors, quantity by quantity in the order of the step. A tensor is within its bound when its largest
 * error is at most `tolerance`, or at most twice the larger error of PyTorch's own float32 runs: rounding switches
 * single ReLUs in a deep network with a small batch, and then no float32 implementation has the float64 gradient.
 */
export function compare(ours: Errors, pytorch: readonly Errors[]): QuantityResult[] {
  const quantities = new Map<string, { rule: Rule; names: string[] }>();
  for (const name of ours.keys()) {
    const rule = rules.find(({ pattern }) => pattern.test(name))!;
    const quantity = name.replace(rule.pattern, rule.quantity);
    const names = quantities.get(quantity)?.names ?? [];
    quantities.set(quantity, { rule, names: [...names, name] });
  }

  return [...quantities].map(([quantity, { rule, names }]) => {
    const tensors: TensorResult[] = [];
    const mismatched: string[] = [];
    for (const name of names) {
      const error = ours.get(name);
      if (error) tensors.push(judge(name, rule, error.largest, Math.max(...pytorch.map(largestOf(name)))));
      else mismatched.push(name);
    }
    const within = mismatched.length === 0 && tensors.every((tensor) => tensor.within);
    return { quantity, tolerance: rule.tolerance, tensors, mismatched, within };
  });
}

/** Error relative to the bound; what is out of bound sorts first. */
export function badness({ error, bound }: TensorResult): number {
  return Number.isNaN(error) ? Infinity : error / bound;
}

/**
 * Units of each ReLU that are on in one of PyTorch's runs and off in the other, by the ReLU's name
 * (`w1.00.encoder.layer1.0.relu1`); ReLUs without any are left out.
 */
export function switchedRelus(float32: NamedTensors, float64: NamedTensors): Map<string, number> {
  const switched = new Map<string, number>();
  for (const [name, { data }] of float64) {
    const other = float32.get(name)?.data;
    if (!name.includes('.relu.') || !other) continue;
    let count = 0;
    for (let i = 0; i < data.length; i++) {
      for (let bits = Number(data[i]) ^ Number(other[i]); bits !== 0; bits &= bits - 1) count += 1;
    }
    if (count > 0) switched.set(name.replace('.relu.', '.'), count);
  }
  return switched;
}

/** NaN where PyTorch lacks the tensor. */
const largestOf = (name: string) => (errors: Errors) => errors.get(name)?.largest ?? NaN;

function judge(
  name: string,
  { tolerance, excusable }: Rule,
  error: number,
  pytorchError: number,
): TensorResult {
  const bound = excusable ? Math.max(tolerance, 2 * pytorchError) : tolerance;
  // `<=` is false for NaN, on either side.
  const within = error <= bound;
  return { name, error, pytorchError, bound, within, excused: within && error > tolerance };
}

/** NaN if any element is. */
function errorOf(values: Float32Array, truth: Float64Array, scale: TensorError): TensorError {
  let [largest, squares] = [0, 0];
  for (let i = 0; i < truth.length; i++) {
    const difference = Math.abs(values[i]! - truth[i]!);
    largest = Math.max(largest, difference);
    squares += difference * difference;
  }
  return { largest: largest / (scale.largest || 1), l2: Math.sqrt(squares) / (scale.l2 || 1) };
}

/**
 * What errors of a tensor are divided by: its own size. The gradient of a bias that a batch norm subtracts again is 0,
 * and what float64 finds is rounding; there it is the size of the same layer's weight gradient, for the gradient and
 * for what the optimiser remembers of it.
 */
function scaleOf(name: string, float64: NamedTensors): TensorError {
  const own = sizeOf(float64.get(name)!);
  const [, prefix, layer] = /^(?:new\.velocity|new\.first_moment|(.*\.)?grad)\.(.*)\.bias$/.exec(name) ?? [];
  const [bias, weight] = ['bias', 'weight'].map((role) =>
    float64.get(`${prefix ?? ''}grad.${layer}.${role}`),
  );
  if (!bias || !weight) return own;
  const [zero, size] = [sizeOf(bias), sizeOf(weight)];
  if (zero.largest > 1e-12 * size.largest) return own;
  return { largest: Math.max(own.largest, size.largest), l2: Math.max(own.l2, size.l2) };
}

function sizeOf({ data }: TensorData): TensorError {
  let [largest, squares] = [0, 0];
  for (const value of data as Float64Array) {
    largest = Math.max(largest, Math.abs(value));
    squares += value * value;
  }
  return { largest, l2: Math.sqrt(squares) };
}

/** Whether `block` can be the leading block of a tensor of this shape, as a width's gradient is. */
function fits(block: readonly number[], shape: readonly number[]): boolean {
  return block.length === shape.length && block.every((d, axis) => d <= shape[axis]!);
}

/** The elements of a leading block, `tensor[:d0, :d1, ...]`, as a tensor of this shape that is 0 elsewhere. */
export function padded({ data, shape: block }: TensorData, shape: readonly number[]): Float32Array {
  const values = data as Float32Array;
  const last = block.findLastIndex((d, axis) => d !== shape[axis]);
  if (last < 0) return values;
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const out = new Float32Array(elementCount(shape));
  // Axes from `last` on are contiguous in both.
  const run = elementCount(block.slice(last));
  let from = 0;
  const copy = (axis: number, to: number): void => {
    if (axis === last) out.set(values.subarray(from, (from += run)), to);
    else for (let i = 0; i < block[axis]!; i++) copy(axis + 1, to + i * strides[axis]!);
  };
  copy(0, 0);
  return out;
}
