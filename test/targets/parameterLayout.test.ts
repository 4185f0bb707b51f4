import { expect } from 'chai';
import {
  formOf,
  layoutOf,
  pack,
  storedShape,
  unpack,
  type ParameterLayout,
} from '../../src/targets/parameterLayout.js';

/** 0, 1, 2 ... of a shape. */
const counted = (...shape: number[]) =>
  Float32Array.from({ length: shape.reduce((n, d) => n * d) }, (_, i) => i);

describe('targets/parameterLayout', () => {
  it('OIHW16i16o: element (k, c, tap) lies at [k/16][c/16][tap][c%16][k%16]', () => {
    const shape = [32, 48, 3, 3];
    const packed = pack(counted(...shape), shape, 'OIHW16i16o');
    const [k, c, tap] = [21, 35, 7];
    const place = (((1 * 3 + 2) * 9 + tap) * 16 + (c % 16)) * 16 + (k % 16);
    expect(packed[place]).to.equal((k * 48 + c) * 9 + tap);
  });

  it('OIHW16o: element (k, c, tap) lies at [k/16][c][tap][k%16]', () => {
    const shape = [32, 3, 7, 7];
    const packed = pack(counted(...shape), shape, 'OIHW16o');
    const [k, c, tap] = [18, 2, 40];
    expect(packed[((1 * 3 + c) * 49 + tap) * 16 + (k % 16)]).to.equal((k * 3 + c) * 49 + tap);
  });

  const cases: [ParameterLayout, number[]][] = [
    ['plain', [5, 7]],
    ['OIHW8i8o', [16, 24, 1, 1]],
    ['OIHW8o', [8, 3, 3, 3]],
    ['OIHW16i16o', [16, 32, 3, 3]],
    ['OIHW16o', [48, 3, 7, 7]],
  ];
  for (const [layout, shape] of cases) {
    it(`${layout}: unpack undoes pack, which keeps every element`, () => {
      const values = counted(...shape);
      const packed = pack(values, shape, layout);
      expect(unpack(packed, shape, layout)).to.deep.equal(values);
      expect(Float32Array.from(packed).sort()).to.deep.equal(values);
    });
  }

  it('a form and a block give a layout, and the layout the form', () => {
    const forms = ['OIHWBiBo', 'OIHWBo'] as const;
    const layouts = ([8, 16] as const).flatMap((block) => forms.map((form) => layoutOf(form, block)));
    expect(layouts).to.deep.equal(['OIHW8i8o', 'OIHW8o', 'OIHW16i16o', 'OIHW16o']);
    expect(layouts.map(formOf)).to.deep.equal([...forms, ...forms]);
    expect(formOf('plain')).to.equal('plain');
  });

  it('storedShape rounds a narrow block up to whole blocks of both channel axes', () => {
    expect(storedShape([12, 24, 3, 3], 'OIHW16i16o')).to.deep.equal([1, 32 * 9, 16]);
    expect(storedShape([12, 3, 7, 7], 'OIHW16o')).to.deep.equal([1, 3 * 49, 16]);
    expect(storedShape([12, 24], 'plain')).to.deep.equal([12, 24]);
  });
});
