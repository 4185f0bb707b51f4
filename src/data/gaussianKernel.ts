/** Weights of the distances 0, 1, ... of a normalised Gaussian; the kernel is symmetric. */
export function gaussianKernel(sigma: number, maxRadius: number): Float64Array {
  const radius = Math.min(maxRadius, Math.ceil(3 * sigma));
  const weights = Float64Array.from({ length: radius + 1 }, (_, distance) =>
    Math.exp(-0.5 * (distance / sigma) ** 2),
  );
  const total = 2 * weights.reduce((sum, weight) => sum + weight, 0) - weights[0]!;
  return weights.map((weight) => weight / total);
}
