import { imageKinds, type ImageKind } from '../reference/inputs.js';
import type { ConvCase, SweepCase } from './sweepCase.js';

const channelCounts = [...range(1, 64), 96, 128];
const plainWindow = {
  batch: 1,
  size: [5, 4],
  kernel: [1, 1],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [0, 0, 0, 0],
} as const;
const plainConv = { ...plainWindow, op: 'Conv', group: 1, bias: false, sum: false, relu: false } as const;

/** Every case of the sweep, for blocks of `B` channels, in a fixed order; on each kind of image in turn, or on one. */
export function* sweepCases(block: number, images?: ImageKind): Generator<SweepCase> {
  let i = 0;
  for (const one of everyCase(block)) {
    yield { ...one, images: images ?? one.images ?? imageKinds[i++ % imageKinds.length]! };
  }
}

function* everyCase(block: number): Generator<SweepCase> {
  yield* channelCases();
  yield* groupCases(block);
  yield* windowCases(block);
  yield* paddingCases(block);
  yield* weightGradientCases(block);
  yield* sampleBlockCases(block);
  yield* foldedCases(block);
  yield* movedCases(block);
  yield* poolCases(block);
  yield* reorderCases();
}

/** All pairs of input and output channels, dense and depthwise. */
function* channelCases(): Generator<SweepCase> {
  for (const window of [
    {},
    { kernel: [3, 3], pads: [1, 1, 1, 1], bias: true, sum: true, relu: true },
  ] as const)
    for (const inputs of channelCounts)
      for (const outputs of channelCounts) yield { ...plainConv, ...window, inputs, outputs };
  for (const channels of channelCounts)
    for (const kernel of [
      [1, 1],
      [3, 3],
      [5, 4],
    ] as const)
      for (const extras of [{}, { bias: true, sum: true, relu: true }, { batch: 3, sum: true }])
        yield { ...plainConv, ...extras, kernel, inputs: channels, outputs: channels, group: channels };
}

/** Groups of few channels (the image is plain) and of whole blocks. */
function* groupCases(block: number): Generator<SweepCase> {
  for (const group of [2, 3, 4, 5, 7, 8, 12, 15, 16, 24, 32, 64])
    for (const inputs of [1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 24, 32])
      for (const outputs of [1, 2, 4, 8, 12, 16, 24, 32, 5 * block])
        for (const kernel of [
          [1, 1],
          [3, 2],
        ] as const)
          yield { ...plainConv, kernel, group, inputs: group * inputs, outputs: group * outputs, bias: true };
}

/** Kernels, strides, dilations, pads, batches and the optional inputs, over each way to read the image. */
function* windowCases(block: number): Generator<SweepCase> {
  const channels = [
    { inputs: 2 * block, outputs: 5 * block, group: 1 },
    { inputs: 3, outputs: 3 * block, group: 1 },
    { inputs: 2 * block, outputs: 2 * block, group: 2 * block },
    { inputs: 2 * block, outputs: 2 * block, group: block },
    { inputs: 2 * block, outputs: 4 * block, group: 2 },
  ];
  const extras = [
    { batch: 1, bias: false, sum: false, relu: false },
    { batch: 3, bias: true, sum: false, relu: true },
    { batch: 2, bias: false, sum: true, relu: false },
    { batch: 2, bias: true, sum: true, relu: true },
  ];
  for (const count of channels)
    for (const kernel of [
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 2],
      [3, 3],
      [5, 3],
      [7, 7],
    ] as const)
      for (const strides of [
        [1, 1],
        [2, 2],
        [1, 2],
        [2, 1],
        [3, 3],
      ] as const)
        for (const dilations of [
          [1, 1],
          [2, 3],
        ] as const)
          for (const [i, pads] of windowPads(kernel).entries())
            for (const size of [
              [7, 9],
              [8, 8],
              [16, 21],
            ] as const) {
              const one = { ...plainConv, ...count, kernel, strides, dilations, pads, size };
              if (fits(one)) yield { ...one, ...extras[i % extras.length]! };
            }
}

function windowPads([h, w]: readonly [number, number]): (readonly [number, number, number, number])[] {
  const y = (h - 1) >> 1;
  const x = (w - 1) >> 1;
  return [
    [0, 0, 0, 0],
    [y, x, y, x],
    [0, 0, h - 1, w - 1],
    [h - 1, w - 1, 0, 0],
    [0, x, h - 1, 1],
    [1, 0, 0, 1],
  ];
}

/** Pads wider than the kernel, so that whole rows and columns of the result see nothing but padding. */
function* paddingCases(block: number): Generator<SweepCase> {
  for (const [inputs, outputs, group] of [
    [block, block, 1],
    [3, block, 1],
    [block, block, block],
  ] as const)
    for (const kernel of [
      [1, 1],
      [3, 3],
    ] as const)
      for (const strides of [
        [1, 1],
        [2, 2],
      ] as const)
        for (const dilations of [
          [1, 1],
          [8, 8],
        ] as const)
          for (const pads of [
            [5, 0, 0, 0],
            [0, 5, 0, 0],
            [0, 0, 5, 0],
            [0, 0, 0, 5],
            [9, 9, 9, 9],
          ] as const)
            for (const size of [
              [1, 1],
              [2, 3],
              [8, 8],
            ] as const) {
              const one = { ...plainConv, inputs, outputs, group, kernel, strides, dilations, pads, size };
              if (fits(one)) yield { ...one, bias: true };
            }
}

/** The gradient of one tensor as the weights over the other: kernels as large as the map, dilated by B. */
function* weightGradientCases(block: number): Generator<SweepCase> {
  for (const map of [1, 2, 3, 4, 7, 8, 14, 16, 28, 32])
    for (const stride of [1, 2])
      for (const samples of [1, 2, 3, 4])
        for (const group of [1, 2, 3, 4, 8, 16, 32]) {
          const padded = (map - 1) * stride + 3;
          yield {
            ...plainConv,
            batch: 2,
            size: [padded, padded * block],
            inputs: group * samples,
            outputs: group * block * (map < 16 ? 2 : 1),
            group,
            kernel: [map, map],
            dilations: [stride, block * stride],
          };
        }
  for (const taps of [1, 4, 16, 64, 256, 1024])
    for (const outputs of [block, 3 * block, 5 * block])
      for (const inputs of [1, 2, 3])
        for (const rows of [1, 3])
          yield {
            ...plainConv,
            batch: 3,
            size: [rows, taps * block],
            inputs,
            outputs,
            kernel: [1, taps],
            dilations: [1, block],
          };
  // The sum of a product over the pixels, for batch norm.
  for (const map of [1, 2, 4, 7, 8, 16, 28, 32])
    for (const channels of [block, 2 * block, 6 * block])
      for (const width of [map, 8 * map])
        yield {
          ...plainConv,
          size: [map, width],
          kernel: [map, width],
          inputs: channels,
          outputs: channels,
          group: channels,
        };
}

/** Weight gradients with samples as channels: in blocks, an output each B rows of tiles, or fewer than B that are added up. */
function* sampleBlockCases(block: number): Generator<SweepCase> {
  for (const group of [1, 2, 12])
    for (const tiles of [1, 4, 9])
      for (const across of [1, 2, 8])
        for (const blocks of [1, 2, 4])
          yield {
            ...plainConv,
            size: [blocks * tiles, block * across],
            inputs: group * block,
            outputs: group * block * (blocks === 4 ? 5 : 1),
            group,
            kernel: [tiles, across],
            strides: [tiles, across],
          };
  for (const inputs of [block - 1, block - 2, block - 5])
    for (const map of [1, 4, 7, 16])
      for (const batch of [1, 2])
        for (const outputs of [block, 5 * block])
          yield {
            ...plainConv,
            batch,
            size: [map + 2, (map + 2) * block],
            inputs,
            outputs,
            kernel: [map, map],
            dilations: [1, block],
            sum: true,
          };
}

/** Maps of `[C/B, H, W, N, B]`, declared `[1, C, H, W N]`: a step of one column is a dilation of N. */
function* foldedCases(block: number): Generator<SweepCase> {
  for (const samples of [1, 2, 3, 4, 8, 16, 24, 32])
    for (const map of [1, 2, 3, 4, 7, 8])
      for (const sum of [false, true])
        for (const [inputs, outputs] of [
          [block, 2 * block],
          [4 * block, block],
        ] as const) {
          const one = { ...plainConv, inputs, outputs, sum, bias: !sum, dilations: [1, samples] } as const;
          yield { ...one, kernel: [3, 3], size: [map, map * samples], pads: [1, samples, 1, samples] };
          yield { ...one, kernel: [3, 3], size: [map, (map + 2) * samples], pads: [1, 0, 1, 0] };
          yield { ...one, dilations: [1, 1], size: [map, map * samples] };
        }
}

/** Maps scattered to every second position, with padding that no window reaches, and maps moved and compared with others. */
function* movedCases(block: number): Generator<SweepCase> {
  const one = { ...plainConv, inputs: block, outputs: block, group: block } as const;
  for (const batch of [1, 3, 32])
    for (const positions of [1, 2, 3, 7, 14, 28])
      for (const samples of [1, 2, 5, 16])
        yield { ...one, batch, size: [positions, samples], pads: [0, 0, positions, samples] };
  for (const batch of [1, 3, 32])
    for (const map of [1, 2, 3, 7, 8, 16, 56])
      for (const down of [0, 1])
        for (const right of [0, 1])
          for (const hardSigmoid of [
            [0.5, 0.5],
            [1e38, 1],
          ] as const)
            yield {
              ...one,
              batch,
              size: [map, map],
              kernel: [1 + down, 1 + right],
              pads: [0, 0, down, right],
              sum: true,
              hardSigmoid,
            };
  // What a window holds first along an axis, compared with its maximum: flat images tie.
  for (const images of imageKinds)
    for (const size of [
      [1, 1],
      [2, 3],
      [7, 8],
      [16, 17],
    ] as const)
      for (const [kernel, strides, pads] of [
        [
          [2, 1],
          [2, 1],
          [1, 0, 0, 0],
        ],
        [
          [1, 2],
          [1, 2],
          [0, 1, 0, 0],
        ],
        [
          [1, 1],
          [2, 1],
          [0, 0, 0, 0],
        ],
        [
          [1, 1],
          [1, 2],
          [0, 0, 0, 0],
        ],
      ] as const)
        yield {
          ...one,
          images,
          batch: 3,
          size,
          kernel,
          strides,
          pads,
          sum: true,
          hardSigmoid: [1e38, 0],
          minusTap: 0,
        };
}

function* poolCases(block: number): Generator<SweepCase> {
  for (const channels of channelCounts)
    yield {
      ...plainWindow,
      op: 'MaxPool',
      channels,
      size: [6, 7],
      kernel: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    };
  for (const channels of [block, 3 * block])
    for (const kernel of [
      [1, 1],
      [2, 2],
      [3, 3],
      [3, 2],
    ] as const)
      for (const strides of [
        [1, 1],
        [2, 2],
        [1, 2],
      ] as const)
        for (const pads of [
          [0, 0, 0, 0],
          [0, 0, 1, 1],
          [1, 1, 1, 1],
        ] as const)
          for (const dilations of [
            [1, 1],
            [2, 2],
          ] as const)
            for (const size of [
              [3, 3],
              [7, 8],
              [16, 17],
            ] as const) {
              const one = { ...plainWindow, channels, kernel, strides, dilations, pads, size, batch: 3 };
              if (fits(one)) yield { ...one, op: 'MaxPool' };
            }
  for (const channels of channelCounts)
    for (const size of [
      [1, 1],
      [4, 5],
    ] as const)
      yield { op: 'GlobalAveragePool', batch: 2, channels, size };
}

function* reorderCases(): Generator<SweepCase> {
  for (const op of ['ReorderInput', 'ReorderOutput'] as const)
    for (const channels of channelCounts)
      for (const channelsLast of [false, true])
        for (const batch of [1, 3])
          for (const size of [
            [1, 1],
            [3, 5],
            [4, 8],
          ] as const)
            yield { op, channels, channelsLast, batch, size };
}

function fits({
  size,
  kernel,
  dilations,
  pads,
}: Pick<ConvCase, 'size' | 'kernel' | 'dilations' | 'pads'>): boolean {
  return ([0, 1] as const).every(
    (axis) => size[axis] + pads[axis] + pads[axis + 2]! >= dilations[axis] * (kernel[axis] - 1) + 1,
  );
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
