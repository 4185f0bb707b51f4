import { expect } from 'chai';
import { gradientDiagnostics, type WidthGradient } from '../../src/diagnostics/gradients.js';
import type { ParameterEntry, ParameterRole } from '../../src/programs/manifest.js';
import { Random } from '../../src/random.js';

const labels = ['w1.00', 'w0.50', 'w0.25'];
type Index = readonly [number, number, number];
type Matrix = ReadonlyMap<string, Float32Array>;

function entry(name: string, slices: Record<string, readonly number[]>, role: ParameterRole = 'weight') {
  return {
    name,
    shape: slices['w1.00']!,
    role,
    layout: 'plain',
    decay: true,
    slices,
  } satisfies ParameterEntry;
}

const parameters: ParameterEntry[] = [
  entry('stem', { 'w1.00': [8, 3, 2], 'w0.50': [4, 3, 2], 'w0.25': [2, 3, 2] }),
  entry('conv', { 'w1.00': [8, 8, 2], 'w0.50': [4, 4, 2], 'w0.25': [2, 2, 2] }),
  entry('last', { 'w1.00': [5, 8, 1], 'w0.50': [5, 4, 1], 'w0.25': [5, 2, 1] }),
  entry('bias', { 'w1.00': [8, 1, 1], 'w0.50': [4, 1, 1], 'w0.25': [2, 1, 1] }, 'bias'),
  entry('gamma', { 'w1.00': [8, 1, 1] }, 'gamma'),
  entry('head.w1.00', { 'w1.00': [4, 8, 1] }),
];
const weights = parameters.slice(0, 3);

const size = ([k, c, t]: readonly number[]) => k! * c! * t!;
const inside = ([k, c, t]: Index, shape: readonly number[]) =>
  k < shape[0]! && c < shape[1]! && t < shape[2]!;
const place = ([k, c, t]: Index, shape: readonly number[]) => (k * shape[1]! + c) * shape[2]! + t;

function* indices(shape: readonly number[]): Generator<Index> {
  for (let k = 0; k < shape[0]!; k++) {
    for (let c = 0; c < shape[1]!; c++) for (let t = 0; t < shape[2]!; t++) yield [k, c, t];
  }
}

/** Gradients of every width, drawn by `element`. */
function gradientsOf(element: (label: string, name: string, at: Index) => number): WidthGradient[] {
  return labels.map((label) => {
    const tensors: Matrix = new Map(
      weights.map(({ name, slices }) => [
        name,
        Float32Array.from(indices(slices[label]!), (at) => element(label, name, at)),
      ]),
    );
    return { label, gradient: (name) => tensors.get(name)! };
  });
}

/** The sum of the widths' gradients, each zero outside its block. */
function totalOf(widths: readonly WidthGradient[]): (name: string) => Float32Array {
  return (name) => {
    const { shape, slices } = parameters.find((parameter) => parameter.name === name)!;
    const total = new Float32Array(size(shape));
    for (const { label, gradient } of widths) {
      const block = slices[label]!;
      for (const at of indices(block)) total[place(at, shape)]! += gradient(name)[place(at, block)]!;
    }
    return total;
  };
}

function random(): WidthGradient[] {
  const stream = new Random(11);
  return gradientsOf(() => stream.normal());
}

describe('gradientDiagnostics', () => {
  it('three widths: norms of regions and rests equal a loop over the elements', () => {
    const total = totalOf(random());
    const { gradientNorms, layerNorms } = gradientDiagnostics(parameters, labels, random(), total);
    expect(Object.keys(layerNorms)).to.deep.equal(['stem', 'conv', 'last']);
    for (const label of labels) {
      const [regions, rests]: [number[], number[]] = [[], []];
      for (const { name, shape, slices } of weights) {
        let [region, rest] = [0, 0];
        for (const at of indices(shape)) {
          const square = total(name)[place(at, shape)]! ** 2;
          if (inside(at, slices[label]!)) region += square;
          else rest += square;
        }
        expect(layerNorms[name]![label], `${name} ${label}`).to.be.closeTo(Math.sqrt(region), 1e-12);
        regions.push(Math.sqrt(region));
        rests.push(Math.sqrt(rest));
      }
      const mean = (values: number[]) => values.reduce((a, b) => a + b) / 3;
      const { region, rest, ratio } = gradientNorms[label]!;
      expect(region, label).to.be.closeTo(mean(regions), 1e-12);
      if (label === 'w1.00') {
        expect([rest, ratio]).to.deep.equal([null, null]);
      } else {
        expect(rest, label).to.be.closeTo(mean(rests), 1e-12);
        expect(ratio, label).to.be.closeTo(mean(rests) / mean(regions), 1e-12);
      }
    }
  });

  it('three widths: cosines on the block of the narrow one equal a loop over the elements', () => {
    const widths = random();
    const { cosines } = gradientDiagnostics(parameters, labels, widths, totalOf(widths));
    const pairs = cosines.map(({ wide, narrow }) => [wide, narrow]);
    expect(pairs).to.deep.equal([
      ['w1.00', 'w0.50'],
      ['w1.00', 'w0.25'],
      ['w0.50', 'w0.25'],
    ]);
    for (const { wide, narrow, cosine, layers } of cosines) {
      const [a, b] = [wide, narrow].map((label) => widths.find((width) => width.label === label)!);
      const all = [0, 0, 0];
      for (const { name, slices } of weights) {
        const sums = [0, 0, 0];
        for (const at of indices(slices[narrow]!)) {
          const x = a!.gradient(name)[place(at, slices[wide]!)]!;
          const y = b!.gradient(name)[place(at, slices[narrow]!)]!;
          for (const [i, product] of [x * y, x * x, y * y].entries()) {
            sums[i]! += product;
            all[i]! += product;
          }
        }
        const [product, x, y] = sums as [number, number, number];
        expect(layers[name], name).to.be.closeTo(product / Math.sqrt(x * y), 1e-12);
      }
      expect(cosine).to.be.closeTo(all[0]! / Math.sqrt(all[1]! * all[2]!), 1e-12);
    }
  });

  it('gradients that agree: cosine 1; opposite ones: -1', () => {
    const field = (name: string, [k, c, t]: Index) => Math.sin(1 + 7 * k + 5 * c + 3 * t + name.length);
    const same = gradientsOf((_, name, at) => field(name, at));
    for (const { cosine, layers } of gradientDiagnostics(parameters, labels, same, totalOf(same)).cosines) {
      for (const value of [cosine, ...Object.values(layers)]) expect(value).to.be.closeTo(1, 1e-12);
    }
    const opposed = gradientsOf((label, name, at) => (label === 'w1.00' ? 2 : -3) * field(name, at));
    const [first, second, third] = gradientDiagnostics(parameters, labels, opposed, totalOf(opposed)).cosines;
    expect(first!.cosine).to.be.closeTo(-1, 1e-12);
    expect(second!.cosine).to.be.closeTo(-1, 1e-12);
    expect(third!.cosine).to.be.closeTo(1, 1e-12);
  });

  it('a gradient in the smallest region alone: rest 0; outside it alone: no ratio, cosine 0', () => {
    const { slices } = parameters[1]!;
    const smallest = gradientsOf((_, name, at) =>
      name === 'conv' && inside(at, slices['w0.25']!) ? at[0] + 1 : 0,
    );
    const inner = gradientDiagnostics(parameters, labels, smallest, totalOf(smallest));
    // 3 times the gradient [[1, 1], [1, 1]], [[2, 2], [2, 2]] of one of three tensors.
    const norm = (3 * Math.sqrt(4 * 1 + 4 * 4)) / 3;
    for (const label of ['w0.50', 'w0.25']) {
      expect(inner.gradientNorms[label]!.region).to.be.closeTo(norm, 1e-12);
      expect(inner.gradientNorms[label]!.rest).to.equal(0);
      expect(inner.gradientNorms[label]!.ratio).to.equal(0);
    }
    const outside = gradientsOf((label, name, at) =>
      label === 'w1.00' && name === 'conv' && !inside(at, slices['w0.25']!) ? 1 : 0,
    );
    const outer = gradientDiagnostics(parameters, labels, outside, totalOf(outside));
    expect(outer.gradientNorms['w0.25']).to.deep.equal({ region: 0, rest: Math.sqrt(120) / 3, ratio: null });
    expect(outer.cosines.map(({ cosine }) => cosine)).to.deep.equal([0, 0, 0]);
  });

  it('only the full width trained: norms of all regions, no cosines', () => {
    const [full] = random();
    const total = (name: string) => full!.gradient(name);
    const { gradientNorms, cosines } = gradientDiagnostics(parameters, labels, [full!], total);
    expect(Object.keys(gradientNorms)).to.deep.equal(labels);
    expect(cosines).to.deep.equal([]);
  });

  it('regions apart from each other: each pair is compared where both are, and not at all where they never meet', () => {
    const slices = { 'w1.00': [4, 1, 1], 'w0.50': [2, 1, 1], 'w0.25': [1, 1, 1] };
    const parameter = { ...entry('conv', slices), starts: { 'w0.50': [1, 0, 0] } };
    const values: Record<string, number[]> = { 'w1.00': [1, 3, -4, 2], 'w0.50': [4, 3], 'w0.25': [-2] };
    const widths = labels.map((label) => ({ label, gradient: () => Float32Array.from(values[label]!) }));
    const total = () => Float32Array.of(-1, 7, -1, 2);
    const { cosines, layerNorms } = gradientDiagnostics([parameter], labels, widths, total);
    expect(cosines.map(({ wide, narrow }) => `${wide}-${narrow}`)).to.deep.equal([
      'w1.00-w0.50',
      'w1.00-w0.25',
    ]);
    expect(cosines[0]!.cosine).to.equal(0);
    expect(cosines[1]!.cosine).to.equal(-1);
    expect(layerNorms['conv']!['w0.50']).to.be.closeTo(Math.sqrt(50), 1e-12);
  });
});
