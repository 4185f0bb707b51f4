import { expect } from 'chai';
import { keyProgram, momentumProgram } from '../../src/programs/key.js';
import { Random } from '../../src/random.js';
import { expectClose } from '../support/expectClose.js';
import { normal } from '../support/samples.js';
import { programOf, queueOf, runProgram, tinyStep } from './tiny.js';

describe('programs/key', () => {
  it('momentum 0.999: m key + (1 - m) query', async () => {
    const query = normal(new Random(1), 9);
    const key = normal(new Random(2), 9);
    const { new_key: moved } = await runProgram(momentumProgram(), { query, key, momentum: [0.999] });
    expectClose(moved!, query.map((q, i) => 0.999 * key[i]! + 0.001 * q), 1e-6); // prettier-ignore
  });

  it('momentum 0.9999: 1 - m has all digits of float32, although m itself has not', async () => {
    const { new_key: moved } = await runProgram(momentumProgram(), {
      query: [1],
      key: [0],
      momentum: [0.9999],
    });
    expect(moved![0]).to.equal(Math.fround(1 - 0.9999));
    expect(moved![0]).not.to.equal(Math.fround(1 - Math.fround(0.9999)));
  });

  it('keys are the unit features that the query network has at full width for the same images and weights', async () => {
    const { config, network, weights, images, queue } = tinyStep();
    const { keys } = await runProgram(keyProgram(network, config), { images }, weights);
    const { logits } = await runProgram(
      programOf(config, 'query.w1.00'),
      { images, keys: keys!, queue: queue.flat(), loss_weight: [1] },
      weights,
    );
    const { dimension, queueSize } = queueOf(config.method);
    for (let n = 0; n < config.batchSize; n++) {
      const key = keys!.slice(n * dimension, (n + 1) * dimension);
      const row = logits!.slice(n * (1 + queueSize), (n + 1) * (1 + queueSize));
      const products = queue.map((entry) => entry.reduce((sum, x, i) => sum + x * key[i]!, 0));
      expectClose(row, [1, ...products], 1e-5);
    }
  });

  it('its statistics move like those of the query network at full width, under the prefix key.', async () => {
    const { config, network, weights, images, keys, queue } = tinyStep();
    const key = await runProgram(keyProgram(network, config), { images }, weights);
    const query = await runProgram(
      programOf(config, 'query.w1.00'),
      { images, keys: keys.flat(), queue: queue.flat(), loss_weight: [1] },
      weights,
    );
    const names = Object.keys(key).filter((name) => name.startsWith('new.key.'));
    expect(names).to.have.length(2 * 21);
    for (const name of names) expectClose(key[name]!, query[name.replace('key.', '')]!, 1e-5);
  });
});
