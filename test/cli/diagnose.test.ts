import { expect } from 'chai';
import { diagnosticsTables } from '../../src/cli/diagnose.js';

const gradientNorms = {
  'w1.00': { region: 2, rest: null, ratio: null },
  'w0.50': { region: 1.5, rest: 1.2345, ratio: 0.823 },
  'w0.25': { region: 1, rest: 1.5, ratio: 1.5 },
};

describe('diagnosticsTables', () => {
  it('three widths: norms, a triangle of cosines, embeddings, queue', () => {
    const cosine = (wide: string, narrow: string, cosine: number) => ({ wide, narrow, cosine, layers: {} });
    const tables = diagnosticsTables({
      gradientNorms,
      cosines: [
        cosine('w1.00', 'w0.50', 0.5),
        cosine('w1.00', 'w0.25', -0.25),
        cosine('w0.50', 'w0.25', 0.125),
      ],
      layerNorms: {},
      features: { 'w1.00': { alignment: 0.5, uniformity: -2.25, std: 0.875 } },
      queueAge: { mean: 8.5, max: 16 },
    });
    expect(tables.join('\n')).to.equal(
      `
L2 norm of the gradient, mean over the weight tensors
width  its weights  the rest  rest / its
1.00          2.00         -           -
0.50          1.50      1.23       0.823
0.25          1.00      1.50        1.50

cosine between the gradients of two widths, on the weights of both
width   0.50    0.25
1.00   0.500  -0.250
0.50           0.125

embeddings
width  alignment  uniformity    std
1.00       0.500      -2.250  0.875

queue: entries 8.5 steps old on average, at most 16`,
    );
  });

  it('no pairs, embeddings or queue: norms alone', () => {
    const tables = diagnosticsTables({ gradientNorms, cosines: [], layerNorms: {} });
    expect(tables).to.have.length(1);
    expect(tables[0]).to.match(/^\nL2 norm/);
  });
});
