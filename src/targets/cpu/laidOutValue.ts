import type { TensorType, Value } from '../../graph/graph.js';
import { once } from '../../once.js';
import type { ParameterForm } from '../parameterLayout.js';
import type { BlockedConvOptions, Kernels } from './kernels.js';

/**
 * How an activation `[N, C, H, W]` lies in memory, B the block size and C rounded up to whole blocks:
 * `plain`: row-major; `blocked`: `[N, C/B, H, W, B]`, declared `[N, C, H, W]`; `folded`: `[C/B, H, W, N, B]`, declared
 * `[1, C, H, W N]`, which turns the batch into a part of the width of small maps. Samples of few channels share a
 * block (`Kernels.pack`): N and C are then those of `Kernels.mapDims`. How a parameter `[K, C, kh, kw]`
 * lies: in a form of parameterLayout.ts, its blocked channel axes rounded up.
 */
export type Layout = 'plain' | 'blocked' | 'folded' | ParameterForm;
export type MapLayout = 'blocked' | 'folded';

/** An activation as it was computed. */
export interface Activation {
  readonly layout: MapLayout;
  readonly value: Value;
}

/** A value whose last operation is still open, so that its only reader can become a part of it. */
export type Pending =
  | {
      /** A convolution that can take a bias and a summand `[N, C, H, W]` along. */
      readonly kind: 'conv';
      readonly layout: MapLayout;
      readonly emit: (options: { bias?: Value; sum?: Value }) => Value;
    }
  | {
      /** y scale + bias (+ sum): batch norm that can take a residual and Relu along. Vectors as y has channels. */
      readonly kind: 'affine';
      readonly y: Activation;
      readonly scale: Value;
      readonly bias: Value;
      readonly sum?: LaidOutValue;
    }
  | {
      /**
       * u scale: the gradient behind batch norm, whose factor the convolution's gradients fold into weights. The
       * vector is `[C]`, padded to whole blocks but not repeated for samples that share one.
       */
      readonly kind: 'scaled';
      readonly u: LaidOutValue;
      readonly scale: Value;
    }
  | {
      /** Zero except at even rows and columns, where it is `half`. */
      readonly kind: 'even';
      readonly half: LaidOutValue;
    }
  | {
      /** Built from its four phases (rows and columns even or odd), blocked; the even one takes a summand. */
      readonly kind: 'phases';
      readonly emit: (even?: Value) => Value;
    }
  | {
      /** The same value `[N, C]`, plain, at every position of the map. */
      readonly kind: 'spread';
      readonly value: Value;
    };

/** A value of the composite graph and what stands for it in the lowered one, in one or more layouts. */
export class LaidOutValue {
  readonly #held = new Map<Layout, Value>();
  #pending: Pending | null = null;
  #native: Layout;

  private constructor(
    private readonly kernels: Kernels,
    /** Type of the plain value. */
    readonly type: TensorType,
    native: Layout,
    /**
     * Whether the channels that fill up the last block are zero, e.g. 4 of 16 for 12 channels; they may be anything else
     * until a batch norm clears them. A convolution reads them, so its rule declines a value where they may be not.
     */
    readonly zeroPadded: boolean,
  ) {
    this.#native = native;
  }

  static of(
    kernels: Kernels,
    type: TensorType,
    layout: Layout,
    value: Value,
    zeroPadded = true,
  ): LaidOutValue {
    const placed = new LaidOutValue(kernels, type, layout, zeroPadded);
    placed.#held.set(layout, value);
    return placed;
  }

  static open(kernels: Kernels, type: TensorType, pending: Pending, zeroPadded = true): LaidOutValue {
    const placed = new LaidOutValue(kernels, type, 'blocked', zeroPadded);
    placed.#pending = pending;
    return placed;
  }

  get dims(): readonly number[] {
    return this.type.shape.map((d) => {
      if (typeof d === 'string') throw new Error(`dimension "${d}" is symbolic, a static shape is needed`);
      return d;
    });
  }

  /** What is still open, or null. */
  get pending(): Pending | null {
    return this.#pending;
  }

  /** Whether the value is there in a layout, without a conversion. */
  has(layout: Layout): boolean {
    return this.#held.has(layout);
  }

  /** The layout that it was computed in. */
  get native(): Layout {
    this.#close();
    return this.#native;
  }

  /** The native layout of an activation that is blocked or folded; blocked for a plain one. */
  get map(): MapLayout {
    return this.native === 'folded' ? 'folded' : 'blocked';
  }

  /** The value in a layout; a conversion is added once. */
  get(layout: Layout): Value {
    this.#close(layout);
    return once(this.#held, layout, () => this.#converted(layout));
  }

  /** Closes what is open with its own result. */
  settle(layout: Layout, value: Value): void {
    this.#pending = null;
    this.#native = layout;
    this.#held.set(layout, value);
  }

  #close(wanted?: Layout): void {
    const pending = this.#pending;
    if (!pending) return;
    this.#pending = null;
    const k = this.kernels;
    switch (pending.kind) {
      case 'conv':
        return this.settle(pending.layout, pending.emit({}));
      case 'affine':
        return this.settle(pending.y.layout, closeAffine(k, pending));
      case 'scaled': {
        const layout = pending.u.map;
        const u = pending.u.get(layout);
        return this.settle(
          layout,
          depthwise(k, u, k.repeated(pending.scale, u.dims[1]! / pending.scale.dims[0]!)),
        );
      }
      case 'even': {
        const { half } = pending;
        const layout = wanted === 'blocked' || wanted === 'folded' ? wanted : half.map;
        return this.settle(layout, scattered(k, half.get(layout), layout, k.mapDims(this.dims)[0]));
      }
      case 'phases':
        return this.settle('blocked', pending.emit());
      case 'spread': {
        const layout = wanted ?? 'plain';
        return this.settle(layout, spread(k, pending.value, this.dims, layout));
      }
    }
  }

  #converted(layout: Layout): Value {
    const from = this.#native;
    const value = this.#held.get(from)!;
    const k = this.kernels;
    if (layout === 'plain') {
      if (from === 'OIHWBiBo' || from === 'OIHWBo') return plainParameter(k, value, this.dims, from);
      const samples = k.pack(this.dims[0]!, this.dims[1]!);
      const map = this.get('blocked');
      return k.reshape(k.reorderOutput(map, samples * this.dims[1]!), this.dims);
    }
    if (layout === 'OIHWBiBo' || layout === 'OIHWBo') return blockedParameter(k, this.get('plain'), layout);
    const [n, c, h, w] = k.mapDims(this.dims);
    const [blocks, block] = [c / k.block, k.block];
    if (layout === 'blocked' && from === 'plain') {
      const channels = k.pack(this.dims[0]!, this.dims[1]!) * this.dims[1]!;
      const whole = k.pad(k.reshape(value, [n, channels, h, w]), [0, 0, 0, 0], [0, c - channels, 0, 0]);
      return k.reorderInput(whole);
    }
    if (layout === 'blocked') {
      const split = k.reshape(value, [blocks, h * w, n, block]);
      return k.reshape(k.transpose(split, [2, 0, 1, 3]), [n, c, h, w]);
    }
    const split = k.reshape(this.get('blocked'), [n, blocks, h * w, block]);
    return k.reshape(k.transpose(split, [1, 2, 0, 3]), [1, c, h, w * n]);
  }
}

/** y scale (+ bias) (+ sum), channel by channel; one pass. Vectors `[C]`. */
export function depthwise(
  k: Kernels,
  y: Value,
  scale: Value,
  options: Pick<BlockedConvOptions, 'bias' | 'sum' | 'relu' | 'pads'> = {},
): Value {
  const channels = y.dims[1]!;
  const weight = k.reshape(scale, [channels, 1, 1, 1]);
  return k.conv(y, weight, { kernel: [1, 1], group: channels, ...options });
}

export interface TapOptions extends Pick<BlockedConvOptions, 'strides' | 'pads' | 'sum' | 'hardSigmoid'> {
  /** Default 1. */
  readonly weight?: number;
}

/** A depthwise convolution of a blocked map that takes `weight` times what lies under one position of its window, row by row. */
export function oneTap(
  k: Kernels,
  value: Value,
  [rows, columns]: readonly [number, number],
  tap: number,
  { weight = 1, ...options }: TapOptions,
): Value {
  const [n, c, h, w] = value.dims as [number, number, number, number];
  const weights = Float32Array.from({ length: k.block * rows * columns }, (_, i) =>
    Math.floor(i / k.block) === tap ? weight : 0,
  );
  const y = k.conv(
    k.reshape(value, [(n * c) / k.block, k.block, h, w]),
    k.b.graph.constant(weights, [k.block, 1, rows, columns], 'float32'),
    {
      kernel: [rows, columns],
      group: k.block,
      ...options,
      ...(options.sum && {
        sum: k.reshape(options.sum, [(n * c) / k.block, k.block, ...options.sum.dims.slice(2)]),
      }),
    },
  );
  const [, , oh, ow] = y.dims as [number, number, number, number];
  return k.reshape(y, [n, c, oh, ow]);
}

/** A vector `[C]` of ones. */
export function ones(k: Kernels, channels: number): Value {
  return k.b.graph.constant(new Float32Array(channels).fill(1), [channels], 'float32');
}

/** Batch norm's last pass, with the residual and Relu that its readers added. */
export function closeAffine(
  k: Kernels,
  { y, scale, bias, sum }: Extract<Pending, { kind: 'affine' }>,
  relu = false,
): Value {
  return depthwise(k, y.value, scale, { bias, ...(sum && { sum: sum.get(y.layout) }), relu });
}

/** Every second row and column of a map, from the first on. A pooling window of one position takes them, on all threads. */
export function everySecond(k: Kernels, value: Value, layout: MapLayout, samples: number): Value {
  const [n, c, h, w] = value.dims as [number, number, number, number];
  if (layout === 'blocked') return k.maxPool(value, [1, 1], [2, 2], [0, 0, 0, 0]);
  const blocks = c / k.block;
  const rows = k.maxPool(k.reshape(value, [blocks, k.block, h, w]), [1, 1], [2, 1], [0, 0, 0, 0]);
  const split = k.reshape(rows, [(blocks * h) / 2, k.block, w / samples, samples]);
  return k.reshape(k.maxPool(split, [1, 1], [2, 1], [0, 0, 0, 0]), [n, c, h / 2, w / 2]);
}

/**
 * A map of twice the size with `value` at its even rows and columns and zeros elsewhere. With the positions of a row as
 * the rows of an image, its samples as their columns, both zeros are padding: a convolution writes all in one pass, on
 * all threads.
 */
function scattered(k: Kernels, value: Value, layout: MapLayout, samples: number): Value {
  const [n, c, h, w] = value.dims as [number, number, number, number];
  const [positions, size] = layout === 'folded' ? [w / samples, samples] : [w, 1];
  const rows = k.reshape(value, [(n * c * h) / k.block, k.block, positions, size]);
  return k.reshape(oneTap(k, rows, [1, 1], 0, { pads: [0, 0, positions, size] }), [n, c, 2 * h, 2 * w]);
}

/** `[N, C]` at every position of `[N, C, H, W]`. */
function spread(k: Kernels, value: Value, dims: readonly number[], layout: Layout): Value {
  const { b, block } = k;
  const [samples, channels] = dims as [number, number];
  if (layout === 'plain') {
    return b.op('Expand', [k.reshape(value, [samples, channels, 1, 1])], { shape: dims });
  }
  const [n, c, h, w] = k.mapDims(dims);
  const packed = (samples * channels) / n;
  const whole = k.pad(k.reshape(value, [n, packed]), [0, 0], [0, c - packed]);
  const blocks = c / block;
  if (layout === 'folded') {
    const across = k.transpose(k.reshape(whole, [n, blocks, block]), [1, 0, 2]);
    const every = b.op('Expand', [k.reshape(across, [blocks, 1, n, block])], {
      shape: [blocks, h * w, n, block],
    });
    return k.reshape(every, [1, c, h, w * n]);
  }
  const every = b.op('Expand', [k.reshape(whole, [n * blocks, 1, block])], {
    shape: [n * blocks, h * w, block],
  });
  return k.reshape(every, [n, c, h, w]);
}

/** A blocked parameter as a row-major `[K, C, kh, kw]`. */
function plainParameter(k: Kernels, value: Value, dims: readonly number[], form: ParameterForm): Value {
  const [outputs, inputs] = dims as [number, number];
  const [rows, columns, kh, kw] = value.dims as [number, number, number, number];
  const { block } = k;
  const inner = form === 'OIHWBiBo' ? block : 1;
  const split = k.reshape(value, [rows / block, columns / inner, kh * kw, inner, block]);
  const whole = k.reshape(k.transpose(split, [0, 4, 1, 3, 2]), value.dims);
  return k.cut(whole, [0, outputs], [0, inputs]);
}

/** A row-major parameter `[K, C, kh, kw]` in blocks. */
function blockedParameter(k: Kernels, value: Value, form: ParameterForm): Value {
  const [outputs, inputs, kh, kw] = value.dims as [number, number, number, number];
  const { block } = k;
  const inner = form === 'OIHWBiBo' ? block : 1;
  const rows = k.padded(outputs);
  const columns = Math.ceil(inputs / inner) * inner;
  const whole = k.pad(value, [0, 0, 0, 0], [rows - outputs, columns - inputs, 0, 0]);
  const split = k.reshape(whole, [rows / block, block, columns / inner, inner, kh * kw]);
  return k.reshape(k.transpose(split, [0, 2, 4, 3, 1]), [rows, columns, kh, kw]);
}
