import { expect } from 'chai';
import { collapsed, featureStatistics } from '../../src/diagnostics/featureStatistics.js';
import { Random } from '../../src/random.js';

function unitRows(seed: number, count: number, dimension: number): Float32Array {
  const random = new Random(seed);
  const rows = new Float32Array(count * dimension);
  for (let i = 0; i < count; i++) {
    const row = Array.from({ length: dimension }, () => random.normal());
    const norm = Math.hypot(...row);
    for (const [d, x] of row.entries()) rows[i * dimension + d] = x / norm;
  }
  return rows;
}

const repeated = (row: readonly number[], count: number) =>
  Float32Array.from({ length: count * row.length }, (_, i) => row[i % row.length]!);

describe('featureStatistics', () => {
  it('all embeddings equal: alignment, uniformity and std 0', () => {
    const rows = repeated([0.6, 0, -0.8], 5);
    expect(featureStatistics(rows, rows, 3)).to.deep.equal({ alignment: 0, uniformity: 0, std: 0 });
  });

  it('random on the sphere: std near 1, alignment near 2, uniformity near that of the uniform distribution', () => {
    const [rows, others] = [unitRows(1, 400, 64), unitRows(2, 400, 64)];
    const { alignment, uniformity, std } = featureStatistics(rows, others, 64);
    expect(std).to.be.closeTo(1, 0.01);
    // |q - k|^2 = 2 - 2 q . k, whose mean is 2; q . k has variance 1 / 64, so log mean exp(4 q . k) is about 8 / 64.
    expect(alignment).to.be.closeTo(2, 0.03);
    expect(uniformity).to.be.closeTo(-4 + 8 / 64, 0.01);
  });

  it('two opposite pairs: by hand', () => {
    const queries = Float32Array.of(1, 0, -1, 0, 0, 1, 0, -1);
    const positives = Float32Array.of(0, 1, -1, 0, 0, 1, 0, 1);
    const { alignment, uniformity, std } = featureStatistics(queries, positives, 2);
    expect(alignment).to.be.closeTo((2 + 0 + 0 + 4) / 4, 1e-12);
    // Of the six pairs two are opposite (squared distance 4), four are at a right angle (2).
    expect(uniformity).to.be.closeTo(Math.log((2 * Math.exp(-8) + 4 * Math.exp(-4)) / 6), 1e-12);
    expect(std).to.be.closeTo(1, 1e-12);
  });
});

describe('collapsed', () => {
  it('names the widths whose embeddings hardly differ', () => {
    const noise = unitRows(3, 20, 8);
    const nearly = repeated([1, 0, 0, 0, 0, 0, 0, 0], 20).map((x, i) => x + 0.01 * noise[i]!);
    const features = {
      'w1.00': featureStatistics(noise, noise, 8),
      'w0.50': featureStatistics(nearly, nearly, 8),
    };
    expect(collapsed(features)).to.deep.equal(['w0.50']);
  });
});
