import { expect } from 'chai';
import { parseConfig } from '../../src/config/load.js';
import type { Manifest } from '../../src/programs/manifest.js';
import type { Engine } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { TrainingState } from '../../src/training/state.js';
import { rejection } from '../support/rejection.js';

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
  let engine: Engine;
  before(async () => (engine = await openEngine({ provider: 'cpu', threads: 1 })));
  after(() => engine.close());
  const open = (kind: 'sgd' | 'adamw') =>
    new TrainingState(
      engine,
      manifest,
      parseConfig({ method: { kind: 'moco-v2', queueSize: 256, dimension: 2 }, optimizer: { kind } }),
    );

  it('a checkpoint holds every slot of the optimiser, and restores it', async () => {
    const state = open('adamw');
    const write = (slot: string, values: number[]) =>
      state.slots.get(slot)!.write('fc.weight', Float32Array.from(values));
    await write('first_moment', [1, 2, 3, 4, 5, 6]);
    await write('second_moment', [6, 5, 4, 3, 2, 1]);
    const tensors = await state.tensors();
    expect([...tensors.keys()].filter((name) => name.endsWith('.fc.weight'))).to.have.members([
      'key.fc.weight',
      'first_moment.fc.weight',
      'second_moment.fc.weight',
    ]);
    const other = open('adamw');
    await other.restore(tensors, 7);
    expect([...(await other.slots.get('first_moment')!.read('fc.weight'))]).to.deep.equal([1, 2, 3, 4, 5, 6]);
    expect([...(await other.slots.get('second_moment')!.read('fc.weight'))]).to.deep.equal([
      6, 5, 4, 3, 2, 1,
    ]);
  });

  it('a checkpoint of another optimiser: says which tensor is missing', async () => {
    const error = await rejection(open('adamw').restore(await open('sgd').tensors(), 7));
    expect(error.message).to.equal('tensor first_moment.fc.weight: found nothing, needed float32[2,3]');
  });
});
