import { expect } from 'chai';
import { UsageError } from '../../src/errors.js';
import { chosenDictionary } from '../../src/import/stateDictionary.js';
import { TorchTensor } from '../../src/import/torchPickle.js';

const tensor = new TorchTensor({ dtype: 'float32', key: '0', length: 1 }, 0, [], []);
const state = (...names: readonly string[]) => new Map(names.map((name) => [name, tensor]));
const namesOf = (content: unknown, key?: string) => [...chosenDictionary(content, key).keys()];

describe('import: the dictionary of a checkpoint', () => {
  it('a state_dict itself, without what are no tensors', () => {
    expect(namesOf(new Map<string, unknown>([...state('a', 'b'), ['version', 1]]))).to.deep.equal(['a', 'b']);
  });

  it('that of the usual name, also beside tensors and other dictionaries', () => {
    const optimizer = new Map([['state', new Map([[0, state('momentum_buffer')]])]]);
    const content = new Map<string, unknown>([
      ['best_acc1', tensor],
      ['ema', state('c')],
      ['state_dict', state('a', 'b')],
      ['optimizer', optimizer],
    ]);
    expect(namesOf(content)).to.deep.equal(['a', 'b']);
    expect(namesOf(content, 'ema')).to.deep.equal(['c']);
    content.delete('ema');
    content.delete('state_dict');
    content.set('weights of mine', state('d'));
    expect(namesOf(content)).to.deep.equal(['d']);
  });

  it('several of other names, or none: which there are', () => {
    const content = new Map([
      ['student', state('a')],
      ['teacher', state('a')],
    ]);
    expect(() => namesOf(content)).to.throw(
      UsageError,
      /^several .*; accepted: one of them by --key: student, teacher$/,
    );
    expect(() => namesOf(new Map([['epoch', 3]]))).to.throw(
      'no dictionary of tensors; its keys: epoch; accepted: ',
    );
    expect(() => namesOf([tensor])).to.throw('it holds no dictionary; accepted: a state_dict, ');
  });
});
