import { expect } from 'chai';
import { averaged } from '../../src/diagnostics/average.js';
import type { Diagnostics } from '../../src/diagnostics/measured.js';

function diagnostics(x: number): Diagnostics {
  return {
    gradientNorms: {
      'w1.00': { region: x, rest: null, ratio: null },
      'w0.50': { region: x, rest: 2 * x, ratio: 2 },
    },
    cosines: [{ wide: 'w1.00', narrow: 'w0.50', cosine: x / 10, layers: { conv: -x / 10 } }],
    layerNorms: { conv: { 'w1.00': x, 'w0.50': 3 * x } },
    queueAge: { mean: x, max: 4 },
  };
}

describe('averaged', () => {
  it('means of all numbers; names and absences stay', () => {
    expect(averaged([diagnostics(1), diagnostics(3)])).to.deep.equal(diagnostics(2));
  });

  it('of one step: the same', () => {
    expect(averaged([diagnostics(5)])).to.deep.equal(diagnostics(5));
  });
});
