import { elementCount } from '../../src/onnx/model.js';
import type { ConvAttributes } from '../../src/ops/conv.js';
import { onEveryTarget, type Evaluate, type Operand } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { imageOperand, moderate } from '../support/images.js';
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

type Draw = (shape: readonly number[], ...name: readonly number[]) => Operand;

/** Conv, ConvInputGrad and ConvWeightGrad against the sums over all taps; `draw` makes X and dY, noise without it. */
async function compare(evaluate: Evaluate, c: Convolution, draw: Draw = randomOperand): Promise<void> {
  const shapes = convolutionShapes(c);
  const x = draw(shapes.x, 1);
  const w = randomOperand(shapes.w, 2);
  const dy = draw(shapes.y, 3);
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
  const actual = await evaluate([x, { ...w, parameter: true }, dy], (b, [vx, vw, vdy]) => [
    b.op('Conv', [vx!, vw!], attributes),
    b.op('ConvInputGrad', [vdy!, vw!], { ...attributes, inputShape: c.size }),
    b.op('ConvWeightGrad', [vx!, vdy!], { ...attributes, kernelShape: c.kernel }),
  ]);
  for (const [i, values] of expected.entries()) {
    // Winograd's errors are those of the largest elements.
    const scale =
      draw === randomOperand ? 1 : values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    const scaled = (list: readonly number[]) => list.map((value) => value / scale);
    expectClose(scaled(actual[i]!), scaled(values), 2e-5);
  }
}

onEveryTarget('convolution', (evaluate, { provider }) => {
  for (const group of [1, 2]) {
    for (const stride of [1, 2, 3]) {
      it(`stride ${stride}, ${group} group(s), kernels 1 to 4, pads 0 to 2: as the sums over all taps`, async () => {
        // The sizes 7 and 6 leave rows or columns that no window reaches for some of the kernels.
        for (const kernel of [1, 2, 3, 4]) {
          for (const pad of [0, 1, 2]) {
            await compare(evaluate, {
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
    compare(evaluate, { ...base, kernel: [3, 2], strides: [2, 1], pads: [0, 1, 2, 0] }));

  for (const dilations of [
    [2, 1],
    [1, 2],
    [2, 3],
  ] as const) {
    it(`dilations ${dilations.join(' and ')}, strides 1 and 2: as the sums over all taps`, async () => {
      await compare(evaluate, { ...base, dilations, pads: [1, 1, 1, 1] });
      await compare(evaluate, { ...base, dilations, pads: [2, 1, 0, 3], strides: [2, 2] });
    });
  }

  // What the layers of a network have: windows that keep the extent, strides of 1 and 2.
  for (const [batch, channels, filters] of [
    [1, 3, 16],
    [2, 3, 20],
    [1, 16, 16],
    [8, 4, 8],
    [3, 12, 20],
    [2, 48, 32],
  ] as const) {
    // Each is many shaders, which software takes seconds to compile; it has no blocks that channels could fill.
    if (provider === 'webgpu' && channels !== 12) continue;
    it(`batch ${batch}, ${channels} to ${filters} channels, flat images too, maps of 1x1 to 9x8: as the sums over all taps`, async () => {
      for (const kernel of [1, 3]) {
        for (const stride of [1, 2]) {
          for (const size of [
            [1, 1],
            [2, 2],
            [3, 1],
            [5, 4],
            [9, 8],
          ] as const) {
            const pad = (kernel - 1) / 2;
            const layer = { ...base, batch, channels, filters, size };
            await compare(
              evaluate,
              { ...layer, kernel: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad] },
              (shape, name) => imageOperand(shape, name === 1 ? moderate : moderate.toReversed()),
            );
          }
        }
      }
    });
  }

  it('a stem, 7x7 with stride 2, batch 1, flat images too: as the sums over all taps', async () => {
    for (const size of [
      [1, 1],
      [7, 8],
      [10, 12],
    ] as const) {
      const stem = {
        ...base,
        batch: 1,
        channels: 3,
        filters: 16,
        size,
        kernel: [7, 7],
        strides: [2, 2],
      } as const;
      await compare(evaluate, { ...stem, pads: [3, 3, 3, 3] }, (shape) => imageOperand(shape, moderate));
    }
  });

  it('depthwise, stride 2: as the sums over all taps', () =>
    compare(evaluate, { ...base, filters: 8, group: 4, strides: [2, 2], pads: [1, 1, 1, 1] }));

  it('Conv with bias adds it to every position', async () => {
    const [y] = await evaluate(
      [
        { shape: [1, 1, 1, 2], values: [1, 2] },
        { shape: [2, 1, 1, 1], values: [3, -1], parameter: true },
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
