/** A two-dimensional convolution; `pads` is [top, left, bottom, right]. */
export interface Convolution {
  readonly batch: number;
  readonly channels: number;
  readonly size: readonly [number, number];
  readonly filters: number;
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
  readonly group: number;
}

export interface ConvolutionShapes {
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly y: readonly number[];
}

export function convolutionShapes(c: Convolution): ConvolutionShapes {
  const extent = (axis: 0 | 1) => {
    const padded = c.size[axis] + c.pads[axis] + c.pads[axis + 2]!;
    return Math.floor((padded - c.dilations[axis] * (c.kernel[axis] - 1) - 1) / c.strides[axis]) + 1;
  };
  return {
    x: [c.batch, c.channels, ...c.size],
    w: [c.filters, c.channels / c.group, ...c.kernel],
    y: [c.batch, c.filters, extent(0), extent(1)],
  };
}

/**
 * Calls `tap` for every product of the definition `y[n,k,o,p] = sum x[n,c,i,j] w[k,c,u,v]`, with flat positions
 * in y, x and w: forward, input gradient and weight gradient are the three sums over the same taps.
 */
export function forEachTap(c: Convolution, tap: (y: number, x: number, w: number) => void): void {
  const { x, w, y } = convolutionShapes(c);
  const at = (shape: readonly number[], ...index: number[]) =>
    index.reduce((flat, i, axis) => flat * shape[axis]! + i, 0);
  const [, perGroup, kh, kw] = w as [number, number, number, number];
  for (const n of range(c.batch))
    for (const k of range(c.filters))
      for (const o of range(y[2]!))
        for (const p of range(y[3]!))
          for (const g of range(perGroup))
            for (const u of range(kh))
              for (const v of range(kw)) {
                const channel = Math.floor(k / (c.filters / c.group)) * perGroup + g;
                const i = o * c.strides[0] - c.pads[0] + u * c.dilations[0];
                const j = p * c.strides[1] - c.pads[1] + v * c.dilations[1];
                if (i < 0 || i >= x[2]! || j < 0 || j >= x[3]!) continue;
                tap(at(y, n, k, o, p), at(x, n, channel, i, j), at(w, k, g, u, v));
              }
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
