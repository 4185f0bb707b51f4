import { expect } from 'chai';
import { setTimeout } from 'node:timers/promises';
import { throttled } from '../../src/data/throttled.js';

describe('throttled', () => {
  it('nothing at once, then the latest message, worded only when it is told', async () => {
    const told: string[] = [];
    let worded = 0;
    const report = throttled((message) => void told.push(message));
    const say = (message: string) => report(() => `${message} ${++worded}`);
    say('at once');
    expect(told).to.deep.equal([]);
    await setTimeout(600);
    say('later');
    say('right after');
    expect(told).to.deep.equal(['later 1']);
  });
});
