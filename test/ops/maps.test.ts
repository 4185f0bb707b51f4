import { expect } from 'chai';
import { gradients } from '../../src/autodiff.js';
import { elementCount } from '../../src/onnx/model.js';
import { onEveryTarget } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { imageOperand, images, moderate } from '../support/images.js';

const unsigned = (values: readonly number[]) => values.map((value) => value + 0);

/** Operators of maps `[N, C, H, W]` that a target may have rules for, on flat images, zeros, ties and huge values. */
onEveryTarget('operators on maps', (evaluate) => {
  for (const shape of [
    [1, 1, 1, 1],
    [1, 16, 1, 1],
    [10, 3, 5, 4],
    [8, 4, 2, 2],
    [10, 20, 7, 3],
  ]) {
    const all = Object.values(images);
    const x = imageOperand(shape, all);
    const title = `[${shape.join(',')}]`;

    it(`${title}: Relu and its gradient, nothing where the output is 0`, async () => {
      const dy = imageOperand(shape, moderate.toReversed());
      const [y, dx] = await evaluate([x, dy], (b, [vx, vdy]) => {
        const relu = b.op('Relu', [vx!]);
        return [relu, b.op('ReluGrad', [vdy!, relu])];
      });
      expect(unsigned(y!)).to.deep.equal(unsigned(x.values.map((value) => Math.max(value, 0))));
      // What Relu lets through of 1e-20 is 1e-20: far below any other value, but not 0.
      const expected = x.values.map((value, i) => (value > 0 ? dy.values[i]! : 0));
      expect(unsigned(dx!)).to.deep.equal(unsigned(expected));
    });

    it(`${title}: Add of two maps, and of one to itself`, async () => {
      const other = imageOperand(shape, moderate.toReversed());
      const [sum, twice] = await evaluate([x, other], (b, [vx, vy]) => [
        b.op('Add', [vx!, vy!]),
        b.op('Add', [vy!, vy!]),
      ]);
      expect(sum).to.deep.equal(x.values.map((value, i) => Math.fround(value + other.values[i]!)));
      expect(twice).to.deep.equal(other.values.map((value) => 2 * value));
    });

    it(`${title}: GlobalAveragePool and its gradient`, async () => {
      const image = imageOperand(shape, moderate);
      const positions = shape[2]! * shape[3]!;
      const maps = elementCount(shape) / positions;
      const [means, dx] = await evaluate([image], (b, [vx]) => {
        const y = b.op('GlobalAveragePool', [vx!]);
        const weights = Float32Array.from({ length: maps }, (_, i) => i);
        const factors = b.graph.constant(weights, [shape[0]!, shape[1]!, 1, 1], 'float32');
        const loss = b.op('ReduceSum', [b.op('Mul', [y, factors])], { keepdims: false });
        return [y, ...gradients(b, loss, [vx!])];
      });
      const sums = new Array<number>(maps).fill(0);
      image.values.forEach((value, i) => (sums[Math.floor(i / positions)]! += value));
      expectClose(
        means!,
        sums.map((sum) => sum / positions),
        1e-6,
      );
      expectClose(
        dx!,
        image.values.map((_, i) => Math.floor(i / positions) / positions),
        1e-6,
      );
    });
  }
});
