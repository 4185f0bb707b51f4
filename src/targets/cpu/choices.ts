/** Where several lowerings compete: which one is taken. All are correct; they differ in speed. */
export interface Choices {
  /** Whether activations of maps of this size are folded (placed.ts). `convolutions` are those over such maps. */
  folded(map: MapSize, convolutions: readonly ConvSize[]): boolean;
  /** Whether a 3x3 convolution with stride 1 over a folded map, or a gradient of it, goes by Winograd. */
  winograd(conv: ConvSize, part: ConvPart): boolean;
  /** Samples that one group of a weight gradient's convolution sums over; a divisor of the batch. */
  chunk(conv: ConvSize): number;
}

export type ConvPart = 'forward' | 'inputGradient' | 'weightGradient';

export interface MapSize {
  readonly height: number;
  readonly width: number;
  readonly batch: number;
}

/** Of a convolution with a square window; height and width are those of its output. */
export interface ConvSize extends MapSize {
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
}

/** What measured best on AVX-512 machines (docs/performance.md). */
export const builtIn: Choices = {
  folded: ({ height, width }, convolutions) =>
    height * width <= 64 || (height * width <= 256 && convolutions.some(winogradPays)),
  winograd: winogradPays,
  chunk({ height, kernel, batch }) {
    const wanted = kernel === 1 ? (height >= 28 ? 1 : 4) : height >= 32 ? 1 : 8;
    let chunk = Math.min(wanted, batch);
    while (batch % chunk !== 0) chunk--;
    return chunk;
  },
};

/**
 * An estimate from measured rates: products of either kind at about 200 GFLOP/s, transforms by the megabyte of
 * transformed maps and weights.
 */
function winogradPays({ batch, inputs, outputs, height, width, kernel, stride }: ConvSize): boolean {
  if (kernel !== 3 || stride !== 1 || Math.min(height, width) < 4) return false;
  const tiles = batch * Math.ceil(height / 4) * Math.ceil(width / 4);
  const perGigaflop = 1 / 205; // seconds
  const direct = 18e-9 * batch * height * width * inputs * outputs * perGigaflop;
  const products = 72e-9 * tiles * inputs * outputs * perGigaflop;
  const megabytes = (elements: number) => (36 * 4 * elements) / 1e6;
  const maps = 0.23e-3 * megabytes(tiles * (inputs + outputs));
  const weights = 0.18e-3 * megabytes(inputs * outputs);
  return products + maps + weights + 0.3e-3 < 0.85 * direct;
}
