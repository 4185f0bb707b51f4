/** Where several lowerings compete: which one is taken. All are correct; they differ in speed. */
export interface Choices {
  /** Whether activations of maps of this size are folded (placed.ts). */
  folded(map: MapSize): boolean;
  /** Samples that one group of a weight gradient's convolution sums over; a divisor of the batch. */
  chunk(conv: ConvSize): number;
}

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
  folded: ({ height, width }) => height * width <= 64,
  chunk({ height, kernel, batch }) {
    const wanted = kernel === 1 ? (height >= 28 ? 1 : 4) : height >= 32 ? 1 : 8;
    let chunk = Math.min(wanted, batch);
    while (batch % chunk !== 0) chunk--;
    return chunk;
  },
};
