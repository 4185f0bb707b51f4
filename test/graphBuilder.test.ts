import { expect } from 'chai';
import {
  Builder,
  cpu,
  emit,
  gradients,
  Graph,
  lower,
  pack,
  portable,
  storedShape,
  unpack,
} from '../src/graphBuilder.js';
import { Random } from '../src/random.js';
import { probeBlockedKernels } from '../src/engines/nchwcProbe.js';
import { floats, HostGraph } from '../src/engines/hostGraph.js';
import type { LoadOptions } from '../src/engines/engine.js';

const image = [4, 3, 12, 12];
const weights = { w1: [32, 3, 3, 3], w2: [32, 32, 3, 3] } as const;

/** Two convolutions of one's own graph, with the gradients of their weights. */
function convolutions(): Graph {
  const graph = new Graph('convolutions');
  const b = new Builder(graph);
  const x = graph.input('x', { dtype: 'float32', shape: image });
  const [w1, w2] = Object.entries(weights).map(([name, shape]) =>
    graph.input(name, { dtype: 'float32', shape }),
  );
  const window = { strides: [1, 1], pads: [1, 1, 1, 1] } as const;
  const first = b.op('Relu', [b.op('Conv', [x, w1!], window)]);
  const second = b.op('Relu', [b.op('Conv', [first, w2!], window)]);
  const loss = b.op('ReduceMean', [b.op('Mul', [second, second])], { keepdims: false });
  graph.output('loss', loss);
  for (const [i, gradient] of gradients(b, loss, [w1!, w2!]).entries())
    graph.output(`grad.w${i + 1}`, gradient);
  return graph;
}

const normal = (shape: readonly number[], seed: number): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal());
};

async function run(
  graph: Graph,
  options: Partial<LoadOptions>,
  feeds: Record<string, readonly [readonly number[], Float32Array]>,
): Promise<Record<string, Float32Array>> {
  const model = emit(graph, { opset: 17, version: '0.0.0' });
  const loaded = await HostGraph.open(model, { provider: 'cpu', threads: 0 }, options);
  const tensors = Object.entries(feeds).map(([name, [shape, data]]) => [name, floats(data, shape)] as const);
  const outputs = await loaded.run(Object.fromEntries(tensors));
  await loaded.close();
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
}

describe('slimclr/graph', () => {
  it("cpu(block), the processor's: convolutions of one's own graph, packed and unpacked, give what portable gives", async function () {
    const kernels = await probeBlockedKernels({ provider: 'cpu' });
    if ('reason' in kernels) return this.skip();
    const target = cpu(kernels.blockSize);
    const layouts = Object.entries(weights).map(([name, shape]) => [name, target.layout(shape)] as const);
    const lowered = lower(convolutions(), target, {
      inputs: new Map(layouts),
      outputs: new Map(layouts.map(([name, layout]) => [`grad.${name}`, layout])),
    });
    expect(lowered.nodes.some(({ domain }) => domain === 'com.microsoft.nchwc')).to.equal(true);

    const x = [image, normal(image, 1)] as const;
    const plain = Object.entries(weights).map(
      ([name, shape], i) => [name, [shape, normal(shape, i + 2)]] as const,
    );
    const packed = plain.map(([name, [shape, values]]) => {
      const layout = target.layout(shape);
      return [name, [storedShape(shape, layout), pack(values, shape, layout)]] as const;
    });
    const expected = await run(lower(convolutions(), portable), {}, { x, ...Object.fromEntries(plain) });
    const actual = await run(lowered, { optimization: 'disabled' }, { x, ...Object.fromEntries(packed) });
    for (const [name, shape] of Object.entries(weights)) {
      const gradient = expected[`grad.${name}`]!;
      const largest = gradient.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const unpacked = unpack(actual[`grad.${name}`]!, shape, target.layout(shape));
      expect(unpacked).to.have.length(gradient.length);
      for (const [i, value] of unpacked.entries()) {
        expect(value, `grad.${name}[${i}]`).to.be.closeTo(gradient[i]!, 1e-5 * largest);
      }
    }
    expect(actual['loss']![0]).to.be.closeTo(expected['loss']![0]!, 1e-5 * expected['loss']![0]!);
  });
});
