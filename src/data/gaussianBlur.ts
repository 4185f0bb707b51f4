/** Separable Gaussian blur of square planes, keeping its scratch memory. */
export class GaussianBlur {
  readonly #side: number;
  /** One padded line. */
  readonly #line: Float32Array;

  constructor(side: number) {
    this.#side = side;
    this.#line = new Float32Array(3 * side);
  }

  /**
   * Blur each plane of [planes, side, side] in place, with reflection at the border (torchvision's `reflect`).
   * The kernel is cut at three standard deviations.
   */
  apply(planes: Float32Array, sigma: number): void {
    const side = this.#side;
    const kernel = gaussianKernel(sigma, side - 1);
    for (let plane = 0; plane < planes.length; plane += side * side) {
      for (let line = 0; line < side; line++) {
        this.#blurLine(planes, plane + line * side, 1, kernel);
      }
      for (let line = 0; line < side; line++) {
        this.#blurLine(planes, plane + line, side, kernel);
      }
    }
  }

  #blurLine(values: Float32Array, start: number, step: number, kernel: Float64Array): void {
    const side = this.#side;
    const line = this.#line;
    const radius = kernel.length - 1;
    for (let i = 0, from = start; i < side; i++, from += step) line[side + i] = values[from]!;
    for (let i = 1; i <= radius; i++) {
      line[side - i] = line[side + i]!;
      line[2 * side - 1 + i] = line[2 * side - 1 - i]!;
    }
    for (let i = 0, to = start; i < side; i++, to += step) {
      let sum = kernel[0]! * line[side + i]!;
      for (let k = 1; k <= radius; k++) sum += kernel[k]! * (line[side + i - k]! + line[side + i + k]!);
      values[to] = sum;
    }
  }
}

/** Weights of the distances 0, 1, ... of a normalised Gaussian; the kernel is symmetric. */
export function gaussianKernel(sigma: number, maxRadius: number): Float64Array {
  const radius = Math.min(maxRadius, Math.ceil(3 * sigma));
  const weights = Float64Array.from({ length: radius + 1 }, (_, distance) =>
    Math.exp(-0.5 * (distance / sigma) ** 2),
  );
  const total = 2 * weights.reduce((sum, weight) => sum + weight, 0) - weights[0]!;
  return weights.map((weight) => weight / total);
}
