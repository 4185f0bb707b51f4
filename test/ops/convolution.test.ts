import { elementCount } from '../../src/onnx/model.js';
import type { ConvAttributes } from '../../src/ops/conv.js';
import { evaluate } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { convolutionShapes, forEachTap, type Convolution } from '../support/naiveConvolution.js';
import { randomOperand } from '../support/randomOperand.js';

const base: Convolution = {
  batch: 2,
  channels: 4,
  size: [7, 6],
  filters: 2,
  kernel: [3, 3],
  strides: [1, 1],
  pads: [0, 0, 0, 0],
  dilations: [1, 1],
  group: 1,
};

/** Conv, ConvInputGrad and ConvWeightGrad of random tensors against the sums over all taps. */
async function compare(c: Convolution): Promise<void> {
  const shapes = convolutionShapes(c);
  const x = randomOperand(shapes.x, 1);
  const w = randomOperand(shapes.w, 2);
  const dy = randomOperand(shapes.y, 3);
  const expected = [shapes.y, shapes.x, shapes.w].map((shape) =>
    new Array<number>(elementCount(shape)).fill(0),
  );
  const [y, dx, dw] = expected as [number[], number[], number[]];
  forEachTap(c, (iy, ix, iw) => {
    y[iy]! += x.values[ix]! * w.values[iw]!;
    dx[ix]! += dy.values[iy]! * w.values[iw]!;
    dw[iw]! += dy.values[iy]! * x.values[ix]!;
  });

  const attributes: ConvAttributes = {
    strides: c.strides,
    pads: c.pads,
    dilations: c.dilations,
    group: c.group,
  };
  const actual = await evaluate([x, w, dy], (b, [vx, vw, vdy]) => [
    b.op('Conv', [vx!, vw!], attributes),
    b.op('ConvInputGrad', [vdy!, vw!], { ...attributes, inputShape: c.size }),
    b.op('ConvWeightGrad', [vx!, vdy!], { ...attributes, kernelShape: c.kernel }),
  ]);
  for (const [i, values] of expected.entries()) expectClose(actual[i]!, values, 2e-5);
}

describe('convolution', () => {
  for (const group of [1, 2]) {
    for (const stride of [1, 2, 3]) {
      it(`stride ${stride}, ${group} group(s), kernels 1 to 4, pads 0 to 2: as the sums over all taps`, async () => {
        // The sizes 7 and 6 leave rows or columns that no window reaches for some of the kernels.
        for (const kernel of [1, 2, 3, 4]) {
          for (const pad of [0, 1, 2]) {
            await compare({
              ...base,
              group,
              kernel: [kernel, kernel],
              strides: [stride, stride],
              pads: [pad, pad, pad, pad],
            });
          }
        }
      });
    }
  }

  it('asymmetric padding, kernel 3x2, strides 2 and 1: as the sums over all taps', () =>
    compare({ ...base, kernel: [3, 2], strides: [2, 1], pads: [0, 1, 2, 0] }));

  for (const dilations of [
    [2, 1],
    [1, 2],
    [2, 3],
  ] as const) {
    it(`dilations ${dilations.join(' and ')}, strides 1 and 2: as the sums over all taps`, async () => {
      await compare({ ...base, dilations, pads: [1, 1, 1, 1] });
      await compare({ ...base, dilations, pads: [2, 1, 0, 3], strides: [2, 2] });
    });
  }

  it('depthwise, stride 2: as the sums over all taps', () =>
    compare({ ...base, filters: 8, group: 4, strides: [2, 2], pads: [1, 1, 1, 1] }));

  it('Conv with bias adds it to every position', async () => {
    const [y] = await evaluate(
      [
        { shape: [1, 1, 1, 2], values: [1, 2] },
        { shape: [2, 1, 1, 1], values: [3, -1] },
        { shape: [2], values: [10, 20] },
      ],
      (b, inputs) => [b.op('Conv', inputs, { strides: [1, 1], pads: [0, 0, 0, 0] })],
    );
    expectClose(y!, [13, 16, 19, 18], 0);
  });

  it('ConvTranspose with output padding spreads each element by the stride', async () => {
    const [y] = await evaluate(
      [
        { shape: [1, 1, 1, 2], values: [1, 10] },
        { shape: [1, 1, 1, 2], values: [1, 2] },
      ],
      (b, inputs) => [
        b.op('ConvTranspose', inputs, { strides: [1, 3], pads: [0, 0, 0, 0], outputPadding: [0, 1] }),
      ],
    );
    expectClose(y!, [1, 2, 0, 10, 20, 0], 0);
  });
});
