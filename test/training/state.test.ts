import { expect } from 'chai';
import { parseConfig } from '../../src/config/load.js';
import type { Manifest } from '../../src/programs/manifest.js';
import { TrainingState } from '../../src/training/state.js';

describe('TrainingState', () => {
  const parameter = {
    name: 'fc.weight',
    shape: [2, 3],
    role: 'weight',
    layout: 'plain',
    decay: true,
    slices: {},
  };
  const manifest = {
    parameters: [parameter],
    labels: ['w1.00'],
    statistics: [],
    graphs: [{ kind: 'momentum' }],
  } as unknown as Manifest;
  const open = (kind: 'sgd' | 'adamw') =>
    new TrainingState(
      manifest,
      parseConfig({ method: { kind: 'moco-v2', queueSize: 256, dimension: 2 }, optimizer: { kind } }),
    );

  it('a checkpoint holds every slot of the optimiser, and restores it', () => {
    const state = open('adamw');
    state.slots.get('first_moment')!.view('fc.weight').set([1, 2, 3, 4, 5, 6]);
    state.slots.get('second_moment')!.view('fc.weight').set([6, 5, 4, 3, 2, 1]);
    const tensors = state.tensors();
    expect([...tensors.keys()].filter((name) => name.endsWith('.fc.weight'))).to.have.members([
      'key.fc.weight',
      'first_moment.fc.weight',
      'second_moment.fc.weight',
    ]);
    const other = open('adamw');
    other.restore(tensors, 7);
    for (const [slot, arena] of state.slots) expect(other.slots.get(slot)!.data).to.deep.equal(arena.data);
  });

  it('a checkpoint of another optimiser: says which tensor is missing', () => {
    const restore = () => open('adamw').restore(open('sgd').tensors(), 7);
    expect(restore).to.throw('tensor first_moment.fc.weight: found nothing, needed float32[2,3]');
  });
});
