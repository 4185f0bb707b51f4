import { expect } from 'chai';
import { Graph } from '../../../src/graph/graph.js';
import { Builder } from '../../../src/ops/builder.js';
import type { ConvAttributes } from '../../../src/ops/conv.js';
import {
  cudaBuiltIn,
  cudaKey,
  cudaTableChoices,
  noCudaChoices,
  openForms,
  RecordedCudaChoices,
  type CudaChoices,
  type CudaConv,
} from '../../../src/targets/cuda/choices.js';
import { cudaTarget } from '../../../src/targets/cuda/index.js';
import { lower } from '../../../src/targets/lower.js';

interface Layer extends Partial<ConvAttributes> {
  readonly x: readonly [number, number, number, number];
  readonly w: readonly [number, number, number, number];
}

/** Conv and both its gradients, lowered; how many nodes of each operator there are. */
function lowered({ x, w, ...attributes }: Layer, choices: Partial<CudaChoices> = {}) {
  const graph = new Graph('layer');
  const b = new Builder(graph);
  const window = { strides: [1, 1], pads: [0, 0, 0, 0], ...attributes } as const;
  const image = graph.input('x', { dtype: 'float32', shape: x });
  const weight = graph.input('w', { dtype: 'float32', shape: w });
  const y = b.op('Conv', [image, weight], window);
  const dy = graph.input('dy', y.type);
  graph.output('y', y);
  graph.output('dx', b.op('ConvInputGrad', [dy, weight], { ...window, inputShape: x.slice(2) }));
  graph.output('dw', b.op('ConvWeightGrad', [image, dy], { ...window, kernelShape: w.slice(2) }));
  const recorded = new RecordedCudaChoices({ ...cudaBuiltIn, ...choices });
  const result = lower(graph, cudaTarget(recorded));
  return { counts: counts(result), questions: recorded.questions };
}

function counts(graph: Graph): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { op } of graph.nodes) found[op] = (found[op] ?? 0) + 1;
  return found;
}

const pointwise = { x: [2, 16, 4, 4], w: [32, 16, 1, 1] } as const;
const windowed = { x: [2, 16, 4, 4], w: [32, 16, 3, 3], pads: [1, 1, 1, 1] } as const;

describe('cuda target', () => {
  it('1x1 by rows: one Gemm over both maps in NHWC, no slice', () => {
    const { counts } = lowered(pointwise, {
      weightGradient: () => 'rows',
      inputGradient: () => 'transposed',
    });
    expect(counts).to.deep.equal({ Conv: 1, ConvTranspose: 1, Transpose: 2, Reshape: 3, Gemm: 1 });
  });

  it('3x3 by rows: NHWC once, a Slice and a Gemm a tap', () => {
    const { counts } = lowered(windowed, { weightGradient: () => 'rows' });
    expect(counts).to.include({ Transpose: 2, Pad: 1, Slice: 9, Gemm: 9, Concat: 1, ConvTranspose: 1 });
  });

  it('3x3 by columns: one Gemm; by samples: a MatMul a tap', () => {
    expect(lowered(windowed, { weightGradient: () => 'columns' }).counts).to.include({ Slice: 9, Gemm: 1 });
    const { counts } = lowered(windowed, { weightGradient: () => 'samples' });
    expect(counts).to.include({ Slice: 9, MatMul: 9, ReduceSum: 9 });
    expect(counts).to.not.have.property('Gemm');
  });

  it('1x1 by products: no convolution is left', () => {
    const { counts } = lowered(pointwise, {
      forward: () => 'product',
      inputGradient: () => 'product',
      weightGradient: () => 'samples',
    });
    expect(Object.keys(counts)).to.have.members(['MatMul', 'ReduceSum', 'Reshape', 'Transpose']);
  });

  it('3x3 of stride 1: asked for both gradients; of stride 2, and in groups: for the weights only', () => {
    const parts = (layer: Layer) => lowered(layer).questions.map(({ part }) => part);
    expect(parts(windowed)).to.deep.equal(['inputGradient', 'weightGradient']);
    expect(parts({ ...windowed, strides: [2, 2] })).to.deep.equal(['weightGradient']);
    expect(parts({ x: [2, 4, 4, 4], w: [4, 2, 3, 3], group: 2 })).to.deep.equal(['weightGradient']);
    expect(parts(pointwise)).to.deep.equal(['forward', 'inputGradient', 'weightGradient']);
  });

  it('a picture of 3 channels by columns; large maps of few channels by samples; small ones by rows', () => {
    const built = (layer: Layer) =>
      lowered(layer).questions.find(({ part }) => part === 'weightGradient')!.form;
    const stem = { x: [64, 3, 224, 224], w: [64, 3, 7, 7], strides: [2, 2], pads: [3, 3, 3, 3] } as const;
    expect(built(stem)).to.equal('columns');
    expect(built({ ...windowed, x: [64, 64, 56, 56], w: [64, 64, 3, 3] })).to.equal('samples');
    expect(built({ ...windowed, x: [64, 512, 7, 7], w: [512, 512, 3, 3] })).to.equal('rows');
    expect(built({ x: [64, 2048, 7, 7], w: [512, 2048, 1, 1] })).to.equal('rows');
  });

  it('a table answers what it holds, the built-in choices the rest; the record of both is sorted', () => {
    const [question] = lowered(windowed).questions.filter(({ part }) => part === 'weightGradient');
    const { conv } = question!;
    const other = openForms(conv).weightGradient.find((form) => form !== question!.form)!;
    const table = { ...noCudaChoices, weightGradient: { [cudaKey(conv)]: other } };
    const choices = cudaTableChoices(table);
    expect(choices.weightGradient(conv)).to.equal(other);
    const smaller: CudaConv = { ...conv, batch: 1 };
    expect(choices.weightGradient(smaller)).to.equal(cudaBuiltIn.weightGradient(smaller));
    const recorded = new RecordedCudaChoices(choices);
    for (const each of [conv, smaller]) recorded.weightGradient(each);
    expect(Object.keys(recorded.table().weightGradient)).to.deep.equal([cudaKey(smaller), cudaKey(conv)]);
    expect(cudaKey(conv)).to.equal('float32 2x16x4x4 > 32 3x3 pads 1,1,1,1');
  });
});
