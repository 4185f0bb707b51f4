import { expect } from 'chai';
import { gradientDiagnostics } from '../../src/diagnostics/gradients.js';
import { elementCount } from '../../src/onnx/model.js';
import type { Manifest, ParameterEntry } from '../../src/programs/manifest.js';
import { Random } from '../../src/random.js';
import { Arena } from '../../src/engines/arena.js';
import type { Engine } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { pack, storedShape, type ParameterLayout } from '../../src/targets/parameterLayout.js';
import { GradientSum } from '../../src/training/gradientSum.js';
import { MeasuredGradients, rowMajor } from '../../src/training/measuredGradients.js';
import { normal } from '../support/samples.js';
import { openStepGraphs } from '../support/stepGraphs.js';

const labels = ['w1.00', 'w0.75', 'w0.25'];

/** A weight by its shape at each width, some of which do not fill the blocks of the layout. */
function parameter(name: string, layout: ParameterLayout, ...shapes: number[][]): ParameterEntry {
  const slices = Object.fromEntries(labels.map((label, i) => [label, shapes[i]!]));
  return { name, shape: shapes[0]!, role: 'weight', layout, decay: true, slices };
}

const parameters = [
  parameter('stem', 'OIHW8o', [16, 3, 3, 3], [12, 3, 3, 3], [4, 3, 3, 3]),
  parameter('conv', 'OIHW8i8o', [16, 32, 1, 1], [12, 24, 1, 1], [4, 8, 1, 1]),
  parameter('fc', 'plain', [6, 16], [6, 12], [6, 4]),
];

/** Only what gradients are kept by: the blocks that `combine` graphs read. */
const manifest = {
  labels,
  parameters,
  graphs: labels.slice(1).map((label) => ({
    kind: 'combine',
    width: label,
    inputs: parameters.map(({ name, slices, layout }) => ({
      name: `grad.${name}`,
      shape: storedShape(slices[label]!, layout),
    })),
    outputs: [],
  })),
} as unknown as Manifest;

const rounded = (shape: readonly number[]) => shape.map((d, i) => (i < 2 ? Math.ceil(d / 8) * 8 : d));

/** A row-major block with channels up to whole blocks of 8, whatever is in them. */
function stuffed(values: Float32Array, shape: readonly number[], layout: ParameterLayout): Float32Array {
  if (layout === 'plain') return values;
  const up = layout === 'OIHW8o' ? [rounded(shape)[0]!, ...shape.slice(1)] : rounded(shape);
  const whole = new Float32Array(elementCount(up)).fill(99);
  const taps = elementCount(shape.slice(2));
  for (let k = 0; k < shape[0]!; k++) {
    const row = values.subarray(k * shape[1]! * taps, (k + 1) * shape[1]! * taps);
    whole.set(row, k * up[1]! * taps);
  }
  return pack(whole, up, layout);
}

describe('MeasuredGradients', () => {
  let engine: Engine;
  before(async () => (engine = await openEngine({ provider: 'cpu', threads: 1 })));
  after(() => engine.close());
  /** Without graphs: nothing is added up here. */
  const open = async () =>
    new GradientSum(manifest, new Arena(engine, stored), await openStepGraphs(engine, []));

  const stored = parameters.map(({ name, shape, layout }) => ({ name, shape: storedShape(shape, layout) }));
  const random = new Random(23);
  const drawn = (shape: readonly number[]) => Float32Array.from(normal(random, elementCount(shape)));
  const widths = labels.map((label) => {
    const tensors = new Map(parameters.map(({ name, slices }) => [name, drawn(slices[label]!)]));
    return { label, gradient: (name: string) => tensors.get(name)! };
  });
  const totals = new Map(parameters.map(({ name, shape }) => [name, drawn(shape)]));

  const expected = gradientDiagnostics(parameters, labels, widths, (name) => totals.get(name)!);

  /** A pass in which every width writes its gradient times a factor. */
  async function write(gradients: GradientSum, factor: number): Promise<void> {
    for (const { label, gradient } of widths) {
      for (const { name, slices, layout } of parameters) {
        const values = gradient(name).map((x) => factor * x);
        const { memory, offset } = gradients.blockPlace(label, name);
        await engine.write(memory, stuffed(values, slices[label]!, layout), offset);
      }
    }
  }

  /** What is left when all are added up; the sum is where the full width's gradients were. */
  async function sumUp(gradients: GradientSum): Promise<void> {
    for (const { name, shape, layout } of parameters) {
      await gradients.total.write(name, pack(totals.get(name)!, shape, layout));
    }
  }

  it('blocked layouts, blocks that do not fill them: the same as of the row-major gradients', async () => {
    const gradients = await open();
    const measured = new MeasuredGradients(manifest);
    await write(gradients, 1);
    await measured.add(gradients, labels);
    await sumUp(gradients);
    expect(await measured.diagnostics(gradients.total)).to.deep.equal(expected);
  });

  it('two passes: the gradients of a width are those of both', async () => {
    const gradients = await open();
    const measured = new MeasuredGradients(manifest);
    // Both passes have a quarter of each gradient; what else they have in one tensor cancels out.
    const odd = new Map(
      widths.map(({ label, gradient }) => [label, gradient('fc').map((x, i) => (i % 2 ? x : 5))]),
    );
    for (const sign of [1, -1]) {
      await write(gradients, 0.25);
      for (const label of labels) {
        const fc = (await gradients.block(label, 'fc')).slice();
        for (const [i, x] of odd.get(label)!.entries()) fc[i]! += sign * x;
        const { memory, offset } = gradients.blockPlace(label, 'fc');
        await engine.write(memory, fc, offset);
      }
      await measured.add(gradients, labels);
    }
    await sumUp(gradients);
    const { cosines, gradientNorms } = await measured.diagnostics(gradients.total);
    expect(gradientNorms).to.deep.equal(expected.gradientNorms);
    for (const [i, { cosine }] of cosines.entries()) {
      expect(cosine).to.be.closeTo(expected.cosines[i]!.cosine, 1e-6);
    }
  });

  it('a block of a size that its shape does not have in its layout is an error', () => {
    expect(() => rowMajor(new Float32Array(10), [4, 8, 1, 1], 'OIHW8i8o')).to.throw(
      '10 elements in [8,8,1,1]',
    );
  });
});
