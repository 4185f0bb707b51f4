import { expect } from 'chai';
import { gradients } from '../../src/autodiff.js';
import { Graph, type Value } from '../../src/graph/graph.js';
import { elementCount } from '../../src/onnx/model.js';
import { Builder } from '../../src/ops/builder.js';
import type { MaxPoolAttributes } from '../../src/ops/maxPool.js';
import { cpuTarget } from '../../src/targets/cpu/index.js';
import { lower } from '../../src/targets/lower.js';
import { evaluate, type Operand } from '../support/evaluate.js';
import { imageOperand, images, type Pixel } from '../support/images.js';
import { placeOperands } from '../support/operands.js';
import { describeOn, testedTargets } from '../support/testedTargets.js';

/** Adds the gradient of x for the loss sum(y * weights). */
function gradientOf(b: Builder, y: Value, x: Value, weights: readonly number[]): readonly Value[] {
  const factors = b.graph.constant(Float32Array.from(weights), y.dims, 'float32');
  return gradients(b, b.op('ReduceSum', [b.op('Mul', [y, factors])], { keepdims: false }), [x]);
}

const stem: MaxPoolAttributes = { kernelShape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };

const identity = (size: number) => Array.from({ length: size ** 2 }, (_, i) => Number(i % (size + 1) === 0));

/** Zeros without a sign, which equals 0 as a maximum and as a gradient. */
const unsigned = (values: readonly number[]) => values.map((value) => value + 0);

/** MaxPool of 3x3 with stride 2 and its gradient by their definition. Weights are small integers, so that sums are exact. */
function naive({ shape, values }: Operand, relu: boolean) {
  const [n, c, h, w] = shape as [number, number, number, number];
  const [rows, columns] = [Math.ceil(h / 2), Math.ceil(w / 2)];
  const clipped = relu ? values.map((value) => Math.max(value, 0)) : values;
  const dx = new Array<number>(values.length).fill(0);
  const y: number[] = [];
  const weights: number[] = [];
  for (let map = 0; map < n * c; map++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let first = -1;
        for (let i = Math.max(0, 2 * row - 1); i <= Math.min(h - 1, 2 * row + 1); i++) {
          for (let j = Math.max(0, 2 * column - 1); j <= Math.min(w - 1, 2 * column + 1); j++) {
            const at = (map * h + i) * w + j;
            if (first < 0 || clipped[at]! > clipped[first]!) first = at;
          }
        }
        weights.push((weights.length % 13) - 6);
        y.push(clipped[first]!);
        if (!relu || clipped[first]! > 0) dx[first]! += weights.at(-1)!;
      }
    }
  }
  return { y, dx, weights };
}

for (const tested of testedTargets) {
  // No graph of a training step reads them, which this provider does not compute.
  const givesIndices = tested.provider !== 'webgpu';

  /** Y, Indices where they are given, and the gradient of x for the loss sum(Y * weights). */
  const maxPool = async (x: Operand, attributes: MaxPoolAttributes, weights: readonly number[]) => {
    const results = await evaluate(
      [x],
      (b, [vx]) => {
        const [y, indices] = b.node('MaxPool', [vx!], attributes);
        return [y!, ...gradientOf(b, y!, vx!, weights), ...(givesIndices ? [indices!] : [])];
      },
      tested,
    );
    return { y: results[0]!, dx: results[1]!, indices: results[2] };
  };
  const expectIndices = (indices: readonly number[] | undefined, expected: readonly number[]) =>
    expect(indices).to.deep.equal(givesIndices ? expected : undefined);

  describeOn(tested, 'MaxPool', () => {
    it('tied maxima, 2x2 stride 2: the first of each window receives the whole gradient', async () => {
      const x = { shape: [1, 1, 2, 4], values: [5, 5, 1, 2, 5, 5, 2, 2] };
      const attributes = { kernelShape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] } as const;
      const { y, indices, dx } = await maxPool(x, attributes, [10, 100]);
      expect(y).to.deep.equal([5, 2]);
      expectIndices(indices, [0, 3]);
      expect(dx).to.deep.equal([10, 0, 0, 100, 0, 0, 0, 0]);
    });

    it('overlapping windows with one maximum: it receives the sum of their gradients', async () => {
      const x = { shape: [1, 1, 1, 5], values: [0, 1, 9, 2, 3] };
      const attributes = { kernelShape: [1, 3], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
      const { y, dx } = await maxPool(x, attributes, [1, 10, 100]);
      expect(y).to.deep.equal([9, 9, 9]);
      expect(dx).to.deep.equal([0, 0, 111, 0, 0]);
    });

    it('negative elements at a padded border: padding is never the maximum', async () => {
      const x = { shape: [1, 1, 2, 2], values: [-4, -3, -2, -1] };
      const attributes = { kernelShape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } as const;
      const { y, indices, dx } = await maxPool(x, attributes, [7]);
      expect(y).to.deep.equal([-1]);
      expectIndices(indices, [3]);
      expect(dx).to.deep.equal([0, 0, 0, 7]);
    });

    it('two images of two channels: indices count through the whole tensor', async () => {
      const x = { shape: [2, 2, 1, 2], values: [1, 2, 4, 3, 5, 6, 8, 7] };
      const attributes = { kernelShape: [1, 2], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
      const { y, indices, dx } = await maxPool(x, attributes, [1, 2, 3, 4]);
      expect(y).to.deep.equal([2, 4, 6, 8]);
      expectIndices(indices, [1, 2, 5, 6]);
      expect(dx).to.deep.equal([0, 1, 2, 0, 0, 3, 4, 0]);
    });
    describe('3x3 with stride 2 behind Relu: the first maximum of each window receives the whole gradient', () => {
      const kinds = Object.values(images);
      const extents = [1, 2, 3, 4, 7, 8];
      it('maps of 1 to 8 rows and columns', async () => {
        for (const height of extents) {
          for (const width of extents) await compare([kinds.length, 3, height, width], kinds);
        }
      });

      for (const [title, pixel] of Object.entries(images)) {
        it(`${title}: batch 1, samples that share a block, blocks that are not full`, async () => {
          for (const [batch, channels] of [
            [1, 1],
            [1, 16],
            [8, 4],
            [2, 20],
          ] as const) {
            await compare([batch, channels, 8, 6], [pixel]);
            await compare([batch, channels, 7, 8], [pixel]);
          }
        });
      }

      it('negative maxima that nothing clips: padding is never the first', () =>
        compare([2, 16, 7, 6], [images['noise']!], false));

      async function compare(shape: number[], kinds: readonly Pixel[], relu = true): Promise<void> {
        const x = imageOperand(shape, kinds, relu ? 0 : -100);
        const { y: expectedY, dx: expectedDx, weights } = naive(x, relu);
        // A layer reads the maxima, as in a network: whatever layout it asks for, the gradient must not mistake it for its own.
        const channels = shape[1]!;
        const layer = { shape: [channels, channels, 1, 1], parameter: true, values: identity(channels) };
        const [y, dx] = await evaluate(
          [x, layer],
          (b, [vx, w]) => {
            const maxima = b.op('MaxPool', [relu ? b.op('Relu', [vx!]) : vx!], stem);
            const read = b.op('Conv', [maxima, w!], { strides: [1, 1], pads: [0, 0, 0, 0] });
            return [maxima, ...gradientOf(b, read, vx!, weights)];
          },
          tested,
        );
        expect(unsigned(y!), `Y of ${shape.join()}`).to.deep.equal(expectedY);
        expect(unsigned(dx!), `dX of ${shape.join()}`).to.deep.equal(expectedDx);
      }
    });
  });
}

for (const block of [8, 16] as const) {
  it(`MaxPool, cpu, blocks of ${block} channels: maps of every parity are pooled in blocks, gradient included`, () => {
    for (const [height, width] of [
      [8, 8],
      [7, 8],
      [8, 7],
      [7, 7],
      [1, 1],
    ] as const) {
      const b = new Builder(new Graph('pooling'));
      const target = cpuTarget(block);
      const {
        values: [x],
        places,
      } = placeOperands(b, [{ shape: [2, 32, height, width] }], { target, betweenLayers: true });
      const y = b.op('MaxPool', [b.op('Relu', [x!])], stem);
      const weights = new Array<number>(elementCount(y.shape)).fill(1);
      b.graph.output('dx', gradientOf(b, y, x!, weights)[0]!);
      const nodes = lower(b.graph, target, places).nodes.map(({ op, domain }) => `${domain}.${op}`);
      expect(nodes).to.include('com.microsoft.nchwc.MaxPool');
      expect(nodes).not.to.include('.ScatterElements');
    }
  });
}
