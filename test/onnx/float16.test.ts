import { expect } from 'chai';
import { Graph } from '../../src/graph/graph.js';
import { fromFloat16, toFloat16 } from '../../src/onnx/float16.js';
import { Builder } from '../../src/ops/builder.js';
import { Random } from '../../src/random.js';
import { runGraph } from '../support/runGraph.js';

const toBits = (value: number) => toFloat16([value])[0]!;
const toNumber = (bits: number) => fromFloat16([bits])[0]!;

describe('onnx/float16', () => {
  it('all 65536 patterns: their number turns into the same bits; NaNs into the quiet one', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const numbers = fromFloat16(bits);
    const again = toFloat16(numbers);
    for (let i = 0; i < 65536; i++) {
      expect(again[i], i.toString(16)).to.equal(Number.isNaN(numbers[i]!) ? 0x7e00 : i);
    }
  });

  it('zeros, ones, the largest, the smallest normal and the smallest number', () => {
    const cases: [number, number][] = [
      [0, 0x0000],
      [-0, 0x8000],
      [1, 0x3c00],
      [-2, 0xc000],
      [1 / 3, 0x3555],
      [65504, 0x7bff],
      [2 ** -14, 0x0400],
      [2 ** -24, 0x0001],
      [Infinity, 0x7c00],
      [-Infinity, 0xfc00],
      [NaN, 0x7e00],
    ];
    for (const [value, bits] of cases) expect(toBits(value), String(value)).to.equal(bits);
    expect(Object.is(toNumber(0x8000), -0)).to.equal(true);
  });

  it('between two neighbours: the nearer, and of equally near ones the even', () => {
    // Subnormal, across the border to normal numbers, and normal.
    for (const low of [0x0000, 0x0001, 0x03fe, 0x03ff, 0x0400, 0x3bff, 0x3c00, 0x3c01, 0x7bfe]) {
      const [a, b] = [toNumber(low), toNumber(low + 1)];
      const middle = (a + b) / 2;
      const even = low % 2 === 0 ? low : low + 1;
      for (const sign of [1, -1]) {
        const signed = (bits: number) => (sign < 0 ? bits | 0x8000 : bits);
        expect(toBits(sign * middle), `middle above ${low}`).to.equal(signed(even));
        expect(toBits(sign * middle * (1 - 1e-12)), `below the middle above ${low}`).to.equal(signed(low));
        expect(toBits(sign * middle * (1 + 1e-12)), `above the middle above ${low}`).to.equal(
          signed(low + 1),
        );
      }
    }
  });

  it('65520, half a step above the largest, and what is larger: infinity; below: the largest', () => {
    expect(toBits(65519.999)).to.equal(0x7bff);
    for (const value of [65520, 70000, 2 ** 20, 1e300]) expect(toBits(value)).to.equal(0x7c00);
    expect(toBits(-65520)).to.equal(0xfc00);
  });

  it('half of the smallest number: zero; more: the smallest', () => {
    expect(toBits(2 ** -25)).to.equal(0);
    expect(toBits(2 ** -25 * 1.001)).to.equal(1);
    expect(toBits(-1e-300)).to.equal(0x8000);
  });

  it('constants and Cast of ONNX Runtime round the same way', async () => {
    const random = new Random(3);
    const values = Array.from({ length: 500 }, () =>
      Math.fround(random.normal() * 2 ** (random.integer(44) - 26)),
    );
    const b = new Builder(new Graph('cast'));
    const x = b.graph.input('x', { dtype: 'float32', shape: [500] });
    b.graph.output('y', b.op('Cast', [b.op('Cast', [x], { to: 'float16' })], { to: 'float32' }));
    const constant = b.graph.constant(toFloat16(values), [500], 'float16');
    b.graph.output('kept', b.op('Cast', [constant], { to: 'float32' }));
    const { y, kept } = await runGraph(b.graph, { x: values });
    expect(y).to.deep.equal([...fromFloat16(toFloat16(values))]);
    expect(kept).to.deep.equal(y);
    // As far as infinity and as small as a subnormal.
    expect(y).to.include.members([Infinity, -Infinity]);
    expect(y!.some((value) => value !== 0 && Math.abs(value) < 2 ** -14)).to.equal(true);
  });
});
