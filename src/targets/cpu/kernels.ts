import type { Value } from '../../graph/graph.js';
import { once } from '../../once.js';
import { elementCount } from '../../onnx/model.js';
import type { Builder } from '../../ops/builder.js';
import { broadcast, windowed } from '../../ops/shapes.js';
import { roundedUp } from '../parameterLayout.js';
import {
  blockedChannelsProblem,
  blockedConvProblem,
  blockedPoolProblem,
  reorderInputProblem,
  reorderOutputProblem,
  type KernelRules,
} from './guard.js';

const blockedDomain = 'com.microsoft.nchwc';
const microsoftDomain = 'com.microsoft';

type Pair = readonly [number, number];

/** Elements of a row that is worth being copied for itself: half a kilobyte. */
const longRow = 128;

export interface BlockedConvOptions {
  readonly kernel: Pair;
  readonly strides?: Pair;
  /** top, left, bottom, right */
  readonly pads?: readonly [number, number, number, number];
  readonly dilations?: Pair;
  readonly group?: number;
  readonly bias?: Value | null;
  /** Added to the result. */
  readonly sum?: Value | null;
  readonly relu?: boolean;
  /** alpha and beta of a HardSigmoid of the result, sum included. */
  readonly hardSigmoid?: Pair;
}

/**
 * Nodes of ONNX Runtime's own domains, with the types they have. Values in blocked layout are declared
 * `[N, C, H, W]` and lie in memory as `[N, C/B, H, W, B]`.
 */
export class Kernels {
  readonly #reshaped = new Map<Value, Map<string, Value>>();
  /** The first no dimensions of a value: what waits for it reads this. */
  readonly #none = new Map<Value, Value>();
  /** Orders of rows that transposes gather, by the shape and the order of its axes. */
  readonly #orders = new Map<string, Value>();

  /** Channels of a block, B. */
  readonly block: number;

  constructor(
    readonly b: Builder,
    readonly rules: KernelRules,
  ) {
    this.block = rules.block;
  }

  /** Channels rounded up to whole blocks. */
  padded(channels: number): number {
    return roundedUp(channels, this.block);
  }

  /**
   * Samples that share a block of channels: where C channels fill an exact part of a block, B / C samples lie in it
   * side by side, `[N, C, ...]` as `[N C / B, B, ...]`. Padded with zeros instead, most of the work would be on zeros.
   */
  pack(batch: number, channels: number): number {
    const samples = this.block / channels;
    return Number.isInteger(samples) && batch % samples === 0 ? Math.max(samples, 1) : 1;
  }

  /** `[N, C, H, W]` as a blocked map is declared: whole blocks of channels, several samples in one where they fit. */
  mapDims([n, c, h, w]: readonly number[]): [number, number, number, number] {
    const samples = this.pack(n!, c!);
    return [n! / samples, this.padded(samples * c!), h!, w!];
  }

  /** A vector repeated: `[C]` -> `[times C]`. */
  repeated(vector: Value, times: number): Value {
    const size = vector.dims[0]!;
    if (times === 1) return vector;
    return this.reshape(this.b.op('Expand', [this.reshape(vector, [1, size])], { shape: [times, size] }), [
      times * size,
    ]);
  }

  /** Reshape, of what a Reshape in front was made of, once for each shape; nothing where that has the shape already. */
  reshape(x: Value, shape: readonly number[]): Value {
    const source = this.unshaped(x);
    const known = once(this.#reshaped, source, () => new Map<string, Value>());
    return once(known, shape.join(), () => this.b.reshape(source, shape));
  }

  /** What a Reshape in front was made of. */
  unshaped(x: Value): Value {
    return x.producer?.op === 'Reshape' ? x.producer.inputs[0]! : x;
  }

  /**
   * ONNX Runtime transposes on one thread. A Transpose that only moves axes of size 1 is a Reshape, which moves nothing,
   * and one that keeps long rows whole gathers these, on all threads.
   */
  transpose(x: Value, perm: readonly number[]): Value {
    const dims = perm.map((axis) => x.dims[axis]!);
    const moved = perm.filter((axis) => x.dims[axis] !== 1);
    if (moved.every((axis, i) => i === 0 || moved[i - 1]! < axis)) return this.reshape(x, dims);
    const kept = perm.findLastIndex((axis, i) => axis !== i) + 1;
    const row = elementCount(dims.slice(kept));
    if (row < longRow) return this.b.op('Transpose', [x], { perm });
    const order = once(this.#orders, `${x.dims.slice(0, kept).join()} by ${perm.join()}`, () =>
      this.indices(transposed(x.dims.slice(0, kept), perm.slice(0, kept))),
    );
    return this.reshape(this.takeRows(x, order, row), dims);
  }

  /** `[N, M, ...]` -> `[M, n, ...]`, the samples `from` to `to` of each of M, which are gathered as they lie. */
  samplesInside(x: Value, from: number, to: number): Value {
    const [batch, count, ...rest] = x.dims as [number, number, ...number[]];
    const shape = [count, to - from, ...rest];
    if (to - from === batch) return this.transpose(x, [1, 0, ...rest.map((_, i) => i + 2)]);
    const rows = Array.from({ length: count * (to - from) }, (_, i) => {
      const [inner, sample] = [Math.floor(i / (to - from)), from + (i % (to - from))];
      return sample * count + inner;
    });
    return this.reshape(this.takeRows(x, this.indices(rows), elementCount(rest)), shape);
  }

  /** Constant int64 values, a vector without a `shape`. */
  indices(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.b.graph.constant(BigInt64Array.from(values, BigInt), shape, 'int64');
  }

  pad(x: Value, before: readonly number[], after: readonly number[]): Value {
    if ([...before, ...after].every((n) => n === 0)) return x;
    return this.b.op('Pad', [x], { pads: [...before, ...after] });
  }

  slice(x: Value, axis: number, start: number, end: number, step = 1): Value {
    if (start === 0 && step === 1 && end === x.dims[axis]) return x;
    const steps = step === 1 ? {} : { steps: [step] };
    return this.b.op('Slice', [x], { starts: [start], ends: [end], axes: [axis], ...steps });
  }

  /** The first two axes cut to ranges `[from, to)`, in one pass. */
  cut(x: Value, rows: Pair, columns: Pair): Value {
    const [height, width] = x.dims as [number, number];
    if (columns[0] === 0 && columns[1] === width) return this.slice(x, 0, ...rows);
    if (rows[0] === 0 && rows[1] === height) return this.slice(x, 1, ...columns);
    return this.b.op('Slice', [x], {
      starts: [rows[0], columns[0]],
      ends: [rows[1], columns[1]],
      axes: [0, 1],
    });
  }

  concat(parts: readonly Value[], axis: number): Value {
    return this.b.op('Concat', parts, { axis });
  }

  add(x: Value, y: Value): Value {
    return this.b.op('Add', [x, y]);
  }

  sub(x: Value, y: Value): Value {
    return this.b.op('Sub', [x, y]);
  }

  mul(x: Value, y: Value): Value {
    return this.b.op('Mul', [x, y]);
  }

  scaled(x: Value, factor: number): Value {
    return this.mul(x, this.b.scalar(factor));
  }

  sum(x: Value, axis: number): Value {
    return this.b.op('ReduceSum', [x], { axes: [axis], keepdims: false });
  }

  /**
   * A convolution of blocked values. With fewer than B input channels a group the image is plain instead.
   * `weight` is `[K, C/group, kh, kw]` in the blocked layout of a parameter.
   */
  conv(x: Value, weight: Value, options: BlockedConvOptions): Value {
    const { kernel, strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 1 } = options;
    const { bias = null, sum = null, relu = false, hardSigmoid } = options;
    const [n, c, h, w] = x.dims as [number, number, number, number];
    const k = weight.dims[0]!;
    this.#check(
      blockedConvProblem({ inputs: c, outputs: k, group, kernel, strides, pads, dilations }, this.rules),
      x,
    );
    if (bias && bias.dims.join() !== String(k))
      throw new Error(`${bias.name}: a bias of other than ${k} channels`);
    const oh = windowed(h, kernel[0], strides[0], pads[0] + pads[2], dilations[0]);
    const ow = windowed(w, kernel[1], strides[1], pads[1] + pads[3], dilations[1]);
    return this.#raw(
      'Conv',
      blockedDomain,
      sum ? [x, weight, bias, sum] : bias ? [x, weight, bias] : [x, weight],
      [n, k, oh, ow],
      {
        kernel_shape: kernel,
        strides,
        pads,
        dilations,
        group,
        ...(relu && { activation: 'Relu' }),
        ...(hardSigmoid && { activation: 'HardSigmoid', activation_params: { floats: hardSigmoid } }),
      },
    );
  }

  maxPool(x: Value, kernel: Pair, strides: Pair, pads: readonly [number, number, number, number]): Value {
    const [n, c, h, w] = x.dims as [number, number, number, number];
    this.#check(blockedPoolProblem({ channels: c, kernel, strides, pads, dilations: [1, 1] }, this.block), x);
    const oh = windowed(h, kernel[0], strides[0], pads[0] + pads[2]);
    const ow = windowed(w, kernel[1], strides[1], pads[1] + pads[3]);
    return this.#raw('MaxPool', blockedDomain, [x], [n, c, oh, ow], { kernel_shape: kernel, strides, pads });
  }

  /** Of `x`, as rows of `length` elements, those at int64 `places` `[P]`: `[P, length]`. On all threads, which Slice is not. */
  takeRows(x: Value, places: Value, length: number): Value {
    const rows = this.reshape(x, [elementCount(x.dims) / length, length]);
    return this.b.op('Gather', [rows, places], { axis: 0 });
  }

  /** `x`, as rows of `length` elements, with those of `rows` added at `places`, each once: `[X / length, length]`. */
  addRows(x: Value, places: readonly number[], rows: Value, length: number): Value {
    const shape = [elementCount(x.dims) / length, length];
    const at = this.indices(places, [places.length, 1]);
    const added = this.reshape(rows, [places.length, length]);
    return this.#raw('ScatterND', '', [this.reshape(x, shape), at, added], shape, { reduction: 'add' });
  }

  /** Mean over each map: `[N, C, H, W]`, blocked -> `[N, C, 1, 1]`. */
  globalAverage(x: Value): Value {
    const [n, c] = x.dims as [number, number];
    this.#check(blockedChannelsProblem(c, this.block), x);
    return this.#raw('GlobalAveragePool', blockedDomain, [x], [n, c, 1, 1], {});
  }

  /** Plain `[N, C, H, W]` to blocked; C is a multiple of B. */
  reorderInput(x: Value): Value {
    this.#check(reorderInputProblem(x.dims[1]!, this.block), x);
    return this.#raw('ReorderInput', blockedDomain, [x], x.dims, {});
  }

  /** Blocked `[N, C, H, W]` to plain, the first `channels` of them. */
  reorderOutput(x: Value, channels: number): Value {
    const [n, c, h, w] = x.dims as [number, number, number, number];
    this.#check(reorderOutputProblem(c, channels, this.block), x);
    return this.#raw('ReorderOutput', blockedDomain, [x], [n, channels, h, w], { channels });
  }

  /** A folded map `[C/B, H, W, N, B]` with its samples innermost: `[C/B, H, W, B, N]`. */
  samplesInnermost(x: Value, batch: number): Value {
    const positions = elementCount(x.dims) / (batch * this.block);
    return this.reorderOutput(this.reshape(x, [positions, this.block, 1, batch]), this.block);
  }

  /** Of x >= 0: 1 where it is positive, 0 where it is 0. */
  step(x: Value): Value {
    return this.hardSigmoid(x, 1e30, 0);
  }

  /** max(0, min(1, alpha x + beta)) */
  hardSigmoid(x: Value, alpha: number, beta: number): Value {
    return this.#raw('HardSigmoid', '', [x], x.dims, { alpha: { float: alpha }, beta: { float: beta } });
  }

  /** Matrix products over broadcast leading axes, with either operand's last two axes exchanged. */
  matMul(x: Value, y: Value, { transA = false, transB = false } = {}): Value {
    if (!transA && !transB) return this.b.op('MatMul', [x, y]);
    const rows = x.dims.at(transA ? -1 : -2)!;
    const columns = y.dims.at(transB ? -2 : -1)!;
    const lead = broadcast(x.dims.slice(0, -2), y.dims.slice(0, -2)) as number[];
    const attributes = { transA: Number(transA), transB: Number(transB), alpha: { float: 1 } };
    return this.#raw('FusedMatMul', microsoftDomain, [x, y], [...lead, rows, columns], attributes);
  }

  /**
   * `x`, but not before `dependency` is known: puts nodes in order. E.g. the input gradient reads `after(dY, dW)`, so
   * that the weight gradient comes first and the layer's input is free. ONNX Runtime orders nodes by what needs them and
   * would compute what waits for nothing long before its use, which costs memory. Unsqueeze by no axes, which it takes
   * from the other value's shape, moves no data.
   */
  after(x: Value, dependency: Value): Value {
    const { graph } = this.b;
    const type = { dtype: 'int64', shape: [0] } as const;
    const range = { start: 0, end: 0 };
    const none = once(
      this.#none,
      dependency,
      () => graph.add('Shape', '', [dependency], [type], range).outputs[0]!,
    );
    return graph.add('Unsqueeze', '', [x, none], [x.type]).outputs[0]!;
  }

  /** The last line of defence: rules decline what the kernels do not take, so this is a defect of a rule. */
  #check(problem: string | null, x: Value): void {
    if (problem) throw new Error(`${x.name}: ${problem}`);
  }

  #raw(
    op: string,
    domain: string,
    inputs: readonly (Value | null)[],
    shape: readonly number[],
    attributes: object,
  ): Value {
    if (elementCount(shape) === 0) throw new Error(`${op}: the result is empty`);
    return this.b.graph.add(op, domain, inputs, [{ dtype: 'float32', shape }], attributes).outputs[0]!;
  }
}

/** For each element of a transposed `[...dims]`, where it was. */
function transposed(dims: readonly number[], perm: readonly number[]): number[] {
  const strides = dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
  return perm.reduce<number[]>(
    (places, axis) =>
      places.flatMap((place) => Array.from({ length: dims[axis]! }, (_, i) => place + i * strides[axis]!)),
    [0],
  );
}
