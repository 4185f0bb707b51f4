import { expect } from 'chai';
import { leading } from '../../src/graph/region.js';
import type { Parameter } from '../../src/nn/parameter.js';
import { blockOfChannels, nonOverlapping, whole } from '../../src/nn/slicing.js';
import { elementCount } from '../../src/onnx/model.js';
import { combineProgram, sharedParameters } from '../../src/programs/combine.js';
import { Random } from '../../src/random.js';
import { expectClose } from '../support/expectClose.js';
import { normal } from '../support/samples.js';
import { runProgram } from './tiny.js';

const widths = [1, 0.75, 0.5];
const parameter = (name: string, shape: number[], slice: Parameter['slice']): Parameter => ({
  name,
  shape,
  role: 'weight',
  initializer: { kind: 'constant', value: 0 },
  slice,
});
const parameters = [
  parameter('conv', [4, 8, 3, 3], (w) => leading([4 * w, 8 * w, 3, 3])),
  parameter('stem', [4, 3, 1, 1], (w) => leading([4 * w, 3, 1, 1])),
  parameter('head', [5, 4], (w) => leading([5, 4 * w])),
  parameter('bias', [5], () => leading([5])),
  parameter('norm', [2], (w) => (w === 0.5 ? leading([2]) : null)),
];
const apart = nonOverlapping([1, 0.5, 0.25]);
const disjoint = [
  parameter('conv', [8, 12, 3, 3], (w) => blockOfChannels(apart(8, w), apart(12, w), whole(3), whole(3))),
  parameter('head', [5, 8], (w) => blockOfChannels(whole(5), apart(8, w))),
  parameter('bias', [5], () => leading([5])),
];

/** Runs the programs of all sub-networks on random gradients and compares with a loop over the elements of every block. */
async function expectSums(parameters: readonly Parameter[], widths: readonly number[]): Promise<void> {
  const gradients = new Map<string, number[]>();
  for (const [i, { name, slice }] of parameters.entries()) {
    for (const [j, width] of widths.entries()) {
      gradients.set(`${width} ${name}`, normal(new Random(i, j), elementCount(slice(width)!.shape)));
    }
  }
  const sums = new Map(parameters.map(({ name }) => [name, gradients.get(`${widths[0]} ${name}`)!]));
  for (const width of widths.slice(1)) {
    const feeds: Record<string, number[]> = {};
    for (const { name } of parameters) {
      feeds[`sum.${name}`] = sums.get(name)!;
      feeds[`grad.${name}`] = gradients.get(`${width} ${name}`)!;
    }
    const outputs = await runProgram(combineProgram(parameters, widths, width), feeds);
    for (const { name } of parameters) sums.set(name, outputs[`new_sum.${name}`]!);
  }

  for (const { name, shape, slice } of parameters) {
    const sum = new Array<number>(elementCount(shape)).fill(0);
    for (const width of widths) {
      const block = slice(width)!;
      for (const [i, g] of gradients.get(`${width} ${name}`)!.entries()) {
        // The place of element i of the block in the full tensor, axis by axis.
        let rest = i;
        let place = 0;
        let stride = 1;
        for (let axis = shape.length - 1; axis >= 0; axis--) {
          place += (block.start[axis]! + (rest % block.shape[axis]!)) * stride;
          rest = Math.floor(rest / block.shape[axis]!);
          stride *= shape[axis]!;
        }
        sum[place]! += g;
      }
    }
    expectClose(sums.get(name)!, sum, 1e-6);
  }
}

describe('programs/combine', () => {
  it('the sums in the end are those of the blocks of all widths, padded with zeros by a loop', () =>
    expectSums(parameters.slice(0, -1), widths));

  it('the same of non-overlapping widths, whose blocks share no channel but those of the full width', () =>
    expectSums(disjoint, [1, 0.5, 0.25]));

  it('a parameter of one width only is not shared and does not appear', () => {
    expect(sharedParameters(parameters, widths).map(({ name }) => name)).to.deep.equal([
      'conv',
      'stem',
      'head',
      'bias',
    ]);
    const { graph } = combineProgram(parameters, widths, 0.5);
    expect([...graph.outputs.keys()]).to.deep.equal(
      ['conv', 'stem', 'head', 'bias'].map((name) => `new_sum.${name}`),
    );
  });
});
