export type Point = readonly [x: number, y: number];

/**
 * At most `limit` points that follow the series: means over runs of consecutive points, all runs of one
 * length but the last. Points that are not finite (a diverged loss is null in JSON) are left out first.
 */
export function bucketMeans(points: readonly Point[], limit = 300): Point[] {
  const finite = points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
  const length = Math.ceil(finite.length / limit);
  const means: Point[] = [];
  for (let begin = 0; begin < finite.length; begin += length) {
    const bucket = finite.slice(begin, begin + length);
    means.push([mean(bucket.map(([x]) => x)), mean(bucket.map(([, y]) => y))]);
  }
  return means;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
