import { expect } from 'chai';
import { optimizerSchema } from '../../src/config/optimization.js';
import type { Precision } from '../../src/precision/autocast.js';
import { updatePrograms } from '../../src/programs/update.js';

describe('programs/update', () => {
  const listed = (overrides: object, accumulates = false, precision: Precision = 'float32') =>
    updatePrograms({ optimizer: optimizerSchema.parse(overrides), runtime: { precision } }, accumulates).map(
      ({ name, kind }) => `${kind} ${name}`,
    );

  it('SGD: one graph', () => {
    expect(listed({ kind: 'sgd' })).to.deep.equal(['update update']);
  });

  it('LARS: one for pieces and one for whole tensors', () => {
    expect(listed({ kind: 'lars' })).to.deep.equal(['update update', 'update update.tensor']);
  });

  it('AdamW on micro-batches with a bounded norm: in the order of a step', () => {
    const expected = ['accumulate accumulate', 'norm norm', 'update update'];
    expect(listed({ kind: 'adamw', clipNorm: 1 }, true)).to.deep.equal(expected);
  });

  it('float16: a norm, which tells whether a gradient overflowed', () => {
    expect(listed({ kind: 'sgd' }, false, 'float16')).to.deep.equal(['norm norm', 'update update']);
  });

  it('every graph declares the inputs and outputs of README.md', () => {
    const optimizer = optimizerSchema.parse({ kind: 'adamw', clipNorm: 1 });
    const { graph } = updatePrograms({ optimizer, runtime: { precision: 'float32' } }, false).find(
      ({ kind }) => kind === 'update',
    )!;
    expect(graph.inputs.map(({ name, shape }) => `${name}[${shape.join()}]`)).to.have.members([
      'parameter[n]',
      'gradient[n]',
      'first_moment[n]',
      'second_moment[n]',
      'learning_rate[]',
      'weight_decay[]',
      'gradient_scale[]',
      'bias_correction1[]',
      'bias_correction2[]',
    ]);
    expect([...graph.outputs.keys()]).to.have.members([
      'new_parameter',
      'new_first_moment',
      'new_second_moment',
    ]);
  });
});
