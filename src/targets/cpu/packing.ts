import type { Value } from '../../graph/graph.js';
import { elementCount } from '../../onnx/model.js';
import type { Geometry } from './convolution.js';
import type { LayoutPass } from './layoutPass.js';
import type { ParameterForm } from '../parameterLayout.js';
import type { LaidOutValue } from './laidOutValue.js';

/*
 * Samples that share a block of channels (`Kernels.pack`) go through a convolution together: as one sample of
 * samples C channels, with the weights repeated along a diagonal of blocks. 4 channels of 4 samples take a quarter
 * of the work that they take padded to 16 channels each.
 */

/** A convolution as the kernels see it: whole blocks of channels, `samples` samples of the batch in one. */
export interface PackedGeometry extends Geometry {
  readonly samples: number;
}

/** Null where input and output do not pack together; `stem` reads a plain image, of fewer channels than a block. */
export function packed(l: LayoutPass, g: Geometry, stem: boolean): PackedGeometry | null {
  const { k } = l;
  const [before, after] = [stem ? 1 : k.pack(g.batch, g.inputs), k.pack(g.batch, g.outputs)];
  const samples = Math.max(before, after);
  const exact = (channels: number) => (samples * channels) % k.block === 0;
  if (samples > 1 && !(exact(g.outputs) && (stem ? samples * g.inputs < k.block : exact(g.inputs)))) {
    return null;
  }
  if (samples > 1 && !stem && [g.inputs, g.outputs].some((c) => c > k.block && c % k.block !== 0))
    return null;
  return {
    ...g,
    samples,
    batch: g.batch / samples,
    inputs: stem ? samples * g.inputs : k.padded(samples * g.inputs),
    outputs: k.padded(samples * g.outputs),
  };
}

/** The weights `[samples K, samples C, kh, kw]` of a packed convolution, from those of `[K, C, kh, kw]`. */
export function packedWeights(l: LayoutPass, w: LaidOutValue, form: ParameterForm, g: PackedGeometry): Value {
  const value = w.get(form);
  if (g.samples === 1) return value;
  const { k } = l;
  const shape = [g.outputs, g.inputs, g.kernel, g.kernel];
  const [outputs, inputs] = w.dims as [number, number];
  const from: number[] = [];
  const kept: number[] = [];
  eachElement(k.block, form, shape, (row, column, tap) => {
    const same = Math.floor(row / outputs) === Math.floor(column / inputs);
    kept.push(same ? 1 : 0);
    from.push(same ? place(k.block, form, value.dims, row % outputs, column % inputs, tap) : 0);
  });
  const taken = gathered(l, value, from, [from.length]);
  return k.reshape(k.mul(taken, vector(l, kept)), shape);
}

/**
 * The gradient of `[K, C, kh, kw]`, rounded up to whole blocks, from that of its packed weights: the sum over the
 * blocks of the diagonal.
 */
export function unpackedWeights(
  l: LayoutPass,
  value: Value,
  form: ParameterForm,
  [outputs, inputs, kh, kw]: readonly number[],
  g: PackedGeometry,
): Value {
  if (g.samples === 1) return value;
  const { k } = l;
  const shape = [k.padded(outputs!), form === 'OIHWBiBo' ? k.padded(inputs!) : inputs!, kh!, kw!];
  const size = elementCount(shape);
  const from: number[] = [];
  const kept: number[] = [];
  for (let sample = 0; sample < g.samples; sample++) {
    eachElement(k.block, form, shape, (row, column, tap) => {
      const inside = row < outputs! && column < inputs!;
      if (sample === 0) kept.push(inside ? 1 : 0);
      const [r, c] = inside ? [sample * outputs! + row, sample * inputs! + column] : [0, 0];
      from.push(place(k.block, form, [g.outputs, g.inputs, kh!, kw!], r, c, tap));
    });
  }
  const sum = k.sum(gathered(l, value, from, [g.samples, size]), 0);
  const stored = [shape[0]! / k.block, size / shape[0]!, k.block];
  return k.reshape(k.mul(k.reshape(sum, stored), k.reshape(vector(l, kept), stored)), shape);
}

function gathered(l: LayoutPass, value: Value, from: readonly number[], shape: readonly number[]): Value {
  const flat = l.k.reshape(value, [elementCount(value.shape)]);
  return l.b.op('Gather', [flat, l.k.indices(from, shape)], { axis: 0 });
}

function vector(l: LayoutPass, values: readonly number[]): Value {
  return l.b.graph.constant(Float32Array.from(values), [values.length], 'float32');
}

type Visit = (row: number, column: number, tap: number) => void;

/** Every element of a parameter of this shape in the order of its blocks. */
function eachElement(block: number, form: ParameterForm, shape: readonly number[], visit: Visit): void {
  const [outputs, inputs, kh, kw] = shape as [number, number, number, number];
  const inner = form === 'OIHWBiBo' ? block : 1;
  for (let rows = 0; rows < outputs; rows += block) {
    for (let columns = 0; columns < inputs; columns += inner) {
      for (let tap = 0; tap < kh * kw; tap++) {
        for (let c = 0; c < inner; c++) for (let k = 0; k < block; k++) visit(rows + k, columns + c, tap);
      }
    }
  }
}

/** Where an element of a parameter lies. */
function place(
  block: number,
  form: ParameterForm,
  [, inputs, kh, kw]: readonly number[],
  row: number,
  column: number,
  tap: number,
): number {
  const inner = form === 'OIHWBiBo' ? block : 1;
  const blockOf = Math.floor(row / block) * (inputs! / inner) + Math.floor(column / inner);
  return ((blockOf * kh! * kw! + tap) * inner + (column % inner)) * block + (row % block);
}
