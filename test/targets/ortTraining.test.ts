import { expect } from 'chai';
import { gradients } from '../../src/autodiff.js';
import { loadConfig } from '../../src/config/load.js';
import { summarizeModel } from '../../src/golden/summary.js';
import { Graph, type Value } from '../../src/graph/graph.js';
import { methodPrograms } from '../../src/methods/index.js';
import { Builder } from '../../src/ops/builder.js';
import type { ConvAttributes } from '../../src/ops/conv.js';
import { emitPrograms } from '../../src/programs/folder.js';
import { emit } from '../../src/targets/emit.js';
import { lower } from '../../src/targets/lower.js';
import { ortTraining } from '../../src/targets/ortTraining/index.js';
import { portable } from '../../src/targets/portable.js';
import { expectClose } from '../support/expectClose.js';
import { runGraph } from '../support/runGraph.js';
import { describeOn, testedTargets } from '../support/testedTargets.js';
import { trainingGraph } from '../support/trainingGraph.js';

const cpu = ortTraining({ cuda: false });
const cuda = ortTraining({ cuda: true });

/** How often each operator of `nodes` is there, with its domain unless that is ONNX's. */
function counts(nodes: readonly { readonly op: string; readonly domain: string }[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { op, domain } of nodes) {
    const name = domain === '' ? op : `${domain}.${op}`;
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

/** A graph with one input a name, each `[2, 4, 6, 6]` or, for a weight, `[4, 4, 3, 3]`. */
function setup(...names: string[]) {
  const graph = new Graph('test');
  const b = new Builder(graph);
  const inputs = names.map((name) =>
    graph.input(name, { dtype: 'float32', shape: name.startsWith('w') ? [4, 4, 3, 3] : [2, 4, 6, 6] }),
  );
  return { graph, b, inputs };
}

const same: ConvAttributes = { strides: [1, 1], pads: [1, 1, 1, 1] };

/** Adds the gradients of the sum of squares of `y` as outputs. */
function addGradients(b: Builder, y: Value, of: readonly Value[]): void {
  const loss = b.op('ReduceSumSquare', [y], { keepdims: false });
  for (const [i, gradient] of gradients(b, loss, of).entries()) b.graph.output(`gradient${i}`, gradient);
}

const [tested] = testedTargets.filter(({ title }) => title === 'ort-training');

/** Outputs of a graph as this target and `portable` compute them, on the same numbers. */
async function expectAsPortable(graph: Graph, tolerance: number, target = cpu): Promise<void> {
  let next = 0;
  const feeds = Object.fromEntries(
    graph.inputs.map(({ name, dims }) => [
      name,
      Array.from({ length: dims.reduce((n, d) => n * d, 1) }, () => Math.fround(Math.sin(++next))),
    ]),
  );
  const expected = await runGraph(graph, feeds, { target: portable });
  const actual = await runGraph(graph, feeds, { target });
  for (const [name, values] of Object.entries(expected)) {
    const scale = Math.max(...values.map(Math.abs));
    expectClose(
      actual[name]!.map((value) => value / scale),
      values.map((value) => value / scale),
      tolerance,
    );
  }
}

describe('target ort-training', () => {
  it('ResNet-50: nodes of the query of each width, at most 650, on CUDA fewer', () => {
    const config = loadConfig({ preset: 'imagenet-resnet50' });
    const { network, programs } = methodPrograms(config);
    const queries = programs.filter(({ kind }) => kind === 'query');
    for (const [target, nodes] of [
      [cpu, { 'query.w1.00': 566, 'query.w0.75': 645, 'query.w0.50': 645, 'query.w0.25': 645 }],
      [cuda, { 'query.w1.00': 412, 'query.w0.75': 491, 'query.w0.50': 491, 'query.w0.25': 491 }],
    ] as const) {
      const emitted = emitPrograms(network, config, target, queries).programs;
      const found = emitted.map(({ entry, model }) => [entry.name, model.nodes.length]);
      expect(Object.fromEntries(found)).to.deep.equal(nodes);
      for (const { model } of emitted) expect(model.irVersion).to.be.at.most(10);
    }
  });

  it('ResNet-50: the products of its fused gradients are those of the portable graph', () => {
    const config = loadConfig({ preset: 'imagenet-resnet50' });
    const { network, programs } = methodPrograms(config);
    const query = programs.filter(({ name }) => name === 'query.w1.00');
    const { model, entry } = emitPrograms(network, config, cpu, query).programs[0]!;
    const { productFlops } = summarizeModel(model);
    expect(productFlops).to.be.within(0.95 * entry.flops, entry.flops);
  });

  it('on CUDA no node is MaxPoolGrad, which has no kernel there', () => {
    const nodes = [cpu, cuda].map((target) => counts(lower(trainingGraph().graph, target).nodes));
    expect(nodes[0]).to.include({ MaxPoolGrad: 1 });
    expect(nodes[0]).not.to.have.property('ScatterElements');
    expect(nodes[1]).to.include({ ScatterElements: 1 });
    expect(nodes[1]).not.to.have.property('MaxPoolGrad');
  });

  it('float64, which the kernels do not take: the graph of portable', () => {
    const build = () => {
      const graph = new Graph('test');
      const b = new Builder(graph);
      const x = graph.input('x', { dtype: 'float64', shape: [2, 4, 6, 6] });
      const w = graph.input('w', { dtype: 'float64', shape: [4, 4, 3, 3] });
      addGradients(b, b.op('Relu', [b.op('Conv', [x, w], same)]), [x, w]);
      return graph;
    };
    expect(counts(lower(build(), cpu).nodes)).to.deep.equal(counts(lower(build(), portable).nodes));
  });

  it('an output of ConvGrad that nobody reads has no name, those of the batch norm have theirs', () => {
    const { graph, b, inputs } = setup('x', 'w');
    const vector = graph.constant(new Float32Array(4).fill(1), [4], 'float32');
    const y = b.op('BatchNormTrain', [b.op('Conv', inputs, same), vector, vector], { epsilon: 1e-5 });
    addGradients(b, y, [inputs[1]!]);
    const { nodes } = emit(lower(graph, cpu), { opset: 17, version: '' });
    const named = (op: string) =>
      nodes.find(({ opType }) => opType === op)!.outputs.map((name) => name !== '');
    expect(named('ConvGrad')).to.deep.equal([false, true]);
    expect(named('BatchNormalizationGrad')).to.deep.equal([true, true, true]);
    expect(named('BatchNormInternal')).to.deep.equal([true, true, true, true, true]);
  });

  it('the constant that the batch norms write over is read by nothing else', () => {
    for (const fill of [0, 1]) {
      const { graph, b, inputs } = setup('x');
      const vector = graph.constant(new Float32Array(4).fill(fill), [4], 'float32');
      graph.output('y', b.op('BatchNormTrain', [inputs[0]!, vector, vector], { epsilon: 1e-5 }));
      const lowered = lower(graph, cpu);
      const norm = lowered.nodes.find(({ op }) => op === 'BatchNormInternal')!;
      const [running] = norm.inputs.slice(3);
      const readers = lowered.nodes.flatMap(({ inputs }) => inputs.filter((input) => input === running));
      expect(readers).to.have.length(2);
      expect(norm.inputs.slice(0, 3)).not.to.include(running);
    }
  });

  it('variances of several batch norms are computed together, and not at all where nobody reads them', () => {
    for (const [read, nodes] of [
      [true, { Concat: 1, Reciprocal: 1, Split: 1 }],
      [false, {}],
    ] as const) {
      const { graph, b, inputs } = setup('x');
      const vector = graph.constant(new Float32Array(4).fill(1), [4], 'float32');
      let x = inputs[0]!;
      for (const name of ['first', 'second', 'third']) {
        const [y, , variance] = b.node('BatchNormTrain', [x, vector, vector], { epsilon: 1e-5 });
        if (read) graph.output(name, variance!);
        x = b.op('Relu', [y!]);
      }
      addGradients(b, x, inputs);
      const { Concat, Reciprocal, Split } = counts(lower(graph, cpu).nodes);
      expect(Object.entries({ Concat, Reciprocal, Split }).filter(([, count]) => count)).to.deep.equal(
        Object.entries(nodes),
      );
    }
  });

  describeOn(tested!, 'gradients of a network', () => {
    for (const target of [cpu, cuda]) {
      it(`a training step with pooling, groups and strides, ${target === cuda ? 'CUDA' : 'CPU'}: as portable`, async () => {
        await expectAsPortable(trainingGraph().graph, 2e-5, target);
      });
    }

    /** Convolutions that share a tensor, so that a gradient could be taken for another's. */
    const shared: Readonly<
      Record<string, [string[], (b: Builder, inputs: readonly Value[]) => Value, number]>
    > = {
      'two convolutions of one map, summed': [
        ['x', 'w1', 'w2'],
        (b, [x, w1, w2]) => b.op('Add', [b.op('Conv', [x!, w1!], same), b.op('Conv', [x!, w2!], same)]),
        2,
      ],
      'two maps convolved by one kernel, summed': [
        ['x1', 'x2', 'w'],
        (b, [x1, x2, w]) => b.op('Add', [b.op('Conv', [x1!, w!], same), b.op('Conv', [x2!, w!], same)]),
        2,
      ],
      'a kernel applied twice': [
        ['x', 'w'],
        (b, [x, w]) => b.op('Conv', [b.op('Conv', [x!, w!], same), w!], same),
        2,
      ],
      'maps of two sizes convolved by one kernel, summed': [
        ['x', 'w'],
        (b, [x, w]) => {
          const smaller = b.op('Slice', [x!], { starts: [0], ends: [5], axes: [3] });
          const strided: ConvAttributes = { ...same, strides: [2, 2] };
          return b.op('Add', [b.op('Conv', [x!, w!], strided), b.op('Conv', [smaller, w!], strided)]);
        },
        2,
      ],
      'convolutions that differ in dilation and pads alone': [
        ['x', 'w'],
        (b, [x, w]) =>
          b.op('Add', [
            b.op('Conv', [x!, w!], same),
            b.op('Conv', [x!, w!], { strides: [1, 1], pads: [2, 2, 2, 2], dilations: [2, 2] }),
          ]),
        2,
      ],
      'pads of two widths, which cuDNN does not take': [
        ['x', 'w'],
        (b, [x, w]) => b.op('Conv', [x!, w!], { strides: [1, 1], pads: [0, 0, 2, 2] }),
        0,
      ],
    };
    for (const [title, [names, build, nodes]] of Object.entries(shared)) {
      it(`${title}: as portable`, async () => {
        for (const of of [
          names,
          names.filter((name) => name[0] === 'x'),
          names.filter((name) => name[0] === 'w'),
        ]) {
          const { graph, b, inputs } = setup(...names);
          addGradients(
            b,
            build(b, inputs),
            inputs.filter(({ name }) => of.includes(name)),
          );
          if (of === names) {
            expect(counts(lower(graph, cpu).nodes)['com.microsoft.ConvGrad'] ?? 0).to.equal(nodes);
          }
          await expectAsPortable(graph, 5e-6);
        }
      });
    }
  });
});
